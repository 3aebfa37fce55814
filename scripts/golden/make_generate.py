"""Greedy generation under every option, stop strings, and sequence scores."""

from common import MODELS, load_model, load_tokenizer, out_dir, quiet_torch, versions, write_json

torch = quiet_torch()

from transformers.convert_slow_tokenizer import bytes_to_unicode  # noqa: E402

# As in make_forward.py: closer choices than this would prove nothing.
MARGIN = 5e-4
BASE_TOKENS = 40


class Generator:
    def __init__(self, out, name):
        self.name = name
        self.model = load_model(out / name, torch.float32)
        self.tok = load_tokenizer(out / "tiny-mha-f32")
        self.byte_of = {char: byte for byte, char in bytes_to_unicode().items()}
        self.added = self.tok.added_tokens_decoder
        # Each case says itself which ids end it.
        self.model.generation_config.eos_token_id = None

    def ids(self, prompt):
        return prompt if isinstance(prompt, list) else self.tok.encode(prompt)

    def decode(self, ids, skip=True):
        return self.tok.decode(ids, skip_special_tokens=skip)

    def run(self, prompt, **options):
        ids = self.ids(prompt)
        out = self.model.generate(
            torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            do_sample=False,
            tokenizer=self.tok if "stop_strings" in options else None,
            output_scores=True,
            return_dict_in_generate=True,
            **options,
        )
        top = torch.stack([step[0].topk(2).values for step in out.scores])
        return out.sequences[0, len(ids) :].tolist(), (top[:, 0] - top[:, 1]).min().item()

    def case(self, name, prompt, **options):
        prompt_ids = self.ids(prompt)
        ids, margin = self.run(prompt, **options)
        assert margin > MARGIN, (self.name, name, margin)
        entry = {
            "name": name,
            "model": self.name,
            "prompt": None if isinstance(prompt, list) else prompt,
            "prompt_ids": prompt_ids,
            "options": options,
            "ids": ids,
            "text": self.decode(ids),
            "text_with_special": self.decode(ids, skip=False),
            "min_margin": round(margin, 6),
        }
        return entry | self.finish(prompt_ids, ids, options)

    def finish(self, prompt_ids, ids, options):
        """Why it ended, read off the result: HF does not say.

        A stop string counts when the last token completes it. It may begin in
        the prompt, as HF looks at the whole sequence.
        """
        eos = options.get("eos_token_id", [])
        ended = ids[-1] in ([eos] if isinstance(eos, int) else eos)
        # In bytes, since a stop string may end inside a half-written character.
        pieces = [self.bytes_of(i) for i in prompt_ids + ids]
        full = b"".join(pieces)
        before_last = len(full) - len(pieces[-1])
        hits = []
        for stop in options.get("stop_strings", []):
            wanted = stop.encode()
            at = full.find(wanted, max(0, before_last - len(wanted) + 1))
            if at >= 0:
                hits.append((at + len(wanted), at, stop))
        hit = {}
        if hits:
            _, start, stop = min(hits)
            hit = {"stop_string": stop, "text_before_stop": self.text_up_to(prompt_ids, ids, start)}
        assert ended or hits or len(ids) == options["max_new_tokens"]
        # A stop string is cut from the text, also where an end token completes it: so it goes first.
        return {"finish_reason": "stop" if hits else "eos" if ended else "length", **hit}

    def bytes_of(self, token_id):
        token = self.tok.convert_ids_to_tokens(token_id)
        if token_id in self.added:
            return token.encode()
        return bytes(self.byte_of[char] for char in token)

    def text_up_to(self, prompt_ids, ids, end):
        """The generated text before a byte of the whole, special tokens left out."""
        at = sum(len(self.bytes_of(i)) for i in prompt_ids)
        kept = b""
        for token_id in ids:
            piece = self.bytes_of(token_id)[: max(0, end - at)]
            at += len(self.bytes_of(token_id))
            special = token_id in self.added and self.added[token_id].special
            kept += b"" if special else piece
        return kept.decode("utf-8", "replace")


def is_plain(text):
    return text.isascii() and text.isprintable() and "|" not in text


def plain_run(texts, length):
    """Where the first stretch of ordinary tokens begins, after the third token."""
    for i in range(3, len(texts) - length):
        if all(map(is_plain, texts[i : i + length])):
            return i
    raise AssertionError("no such stretch")


def first(texts, start, wanted):
    return next(i for i in range(start, len(texts)) if wanted(texts[i]))


def option_cases(g, prompt):
    base, _ = g.run(prompt, max_new_tokens=BASE_TOKENS)
    # Ids by their first appearance, so that one which ends it does so there.
    order = list(dict.fromkeys(base))
    early, later, last = order[2], order[6], order[-1]
    yield g.case("plain", prompt, max_new_tokens=BASE_TOKENS)
    for n in (1, 2, 5):
        yield g.case(f"max_new_tokens={n}", prompt, max_new_tokens=n)
    for penalty in (1.2, 1.8, 0.9):
        yield g.case(f"repetition_penalty={penalty}", prompt, max_new_tokens=32, repetition_penalty=penalty)
    for n in (1, 2, 3):
        yield g.case(f"no_repeat_ngram_size={n}", prompt, max_new_tokens=32, no_repeat_ngram_size=n)
    for label, words in {
        "one": [[early]],
        "several": [[early], [later], [base[0]]],
        "pair": [base[3:5]],
        "triple": [base[5:8], base[0:3]],
        "with the prompt": [[g.ids(prompt)[-1], base[0]]],
        "mixed": [[later], base[1:3], base[1:4]],
        "longer than all": [g.ids(prompt) * 20 + [base[0]]],
    }.items():
        yield g.case(f"bad_words_ids: {label}", prompt, max_new_tokens=24, bad_words_ids=words)
    yield g.case("eos: one", prompt, max_new_tokens=32, eos_token_id=early)
    yield g.case("eos: first token", prompt, max_new_tokens=32, eos_token_id=base[0])
    yield g.case("eos: several", prompt, max_new_tokens=32, eos_token_id=[last, later, 496])
    yield g.case("eos: on the last token allowed", prompt, max_new_tokens=base.index(later) + 1, eos_token_id=later)
    yield g.case("eos: never", prompt, max_new_tokens=16, eos_token_id=[496])
    for n in (1, 4, 12):
        yield g.case(f"min_new_tokens={n}", prompt, max_new_tokens=32, min_new_tokens=n, eos_token_id=[early, later])
    yield g.case(
        "min_new_tokens past the end", prompt, max_new_tokens=8, min_new_tokens=20, eos_token_id=[early, later]
    )
    yield g.case(
        "eos may not be a bad word", prompt, max_new_tokens=16, bad_words_ids=[[early], [base[0]]], eos_token_id=early
    )
    yield g.case(
        "all together",
        prompt,
        max_new_tokens=32,
        repetition_penalty=1.15,
        no_repeat_ngram_size=2,
        bad_words_ids=[[base[1]], base[4:6]],
        min_new_tokens=6,
        eos_token_id=[early, later],
    )


def stop_cases(g, prompt):
    base, _ = g.run(prompt, max_new_tokens=BASE_TOKENS)
    texts = [g.decode([i], skip=False) for i in base]
    i = plain_run(texts, 3)
    a, b, c = texts[i : i + 3]
    long = first(texts, 2, lambda t: is_plain(t) and len(t) >= 3)
    word = texts[long]
    other = first(texts, i + 3, lambda t: is_plain(t) and t not in texts[: i + 3])
    added = first(texts, 0, lambda t: t.startswith(("<|", "|||")) and len(t) > 3)
    special = g.decode([base[added]]) == ""

    def stop(name, *stops, n=BASE_TOKENS, **options):
        return g.case(f"stop: {name}", prompt, max_new_tokens=n, stop_strings=list(stops), **options)

    yield stop("a whole token", word)
    yield stop("the start of a token", word[:-1])
    yield stop("the end of a token", word[1:])
    yield stop("the middle of a token", word[1:-1] or word[1:])
    yield stop("across two tokens", a[-1:] + b[:1])
    yield stop("two whole tokens", a + b)
    yield stop("across three tokens", a[-1:] + b + c[:1])
    yield stop("three whole tokens", a + b + c)
    yield stop("one inside another", a + b + c, b)
    yield stop("one begins another", a + b, a + b + c)
    yield stop("one ends another", b + c, a + b + c)
    yield stop("overlapping, first listed ends first", a[-1:] + b, b + c)
    yield stop("overlapping, last listed ends first", b + c, a[-1:] + b)
    yield stop("the same twice", word, word)
    yield stop("several, the later one listed first", texts[other], a + b)
    yield stop("begun but never finished", a + b + "\x07", b + "\x07")
    yield stop("never", "no such text")
    yield stop("longer than everything", "x" * 300)
    yield stop("another letter case", word.swapcase() + "\x07")
    prompt_text = g.decode(g.ids(prompt), skip=False)
    start = texts[0]
    if is_plain(start) and is_plain(prompt_text):
        yield stop("begun in the prompt", prompt_text[-3:] + start[:1])
        yield stop("the whole prompt and on", prompt_text + start)
        yield stop("wholly in the prompt", prompt_text[:6])
    yield stop(f"inside {'a special' if special else 'an added'} token", texts[added][2:6])
    yield stop("on the last token allowed", a + b, n=i + 2)
    yield stop("one token too late", a + b, n=i + 1)
    yield stop("together with eos", a + b, eos_token_id=base[i + 1])
    yield stop("eos comes first", a + b + c, eos_token_id=base[i])
    yield stop("with a repetition penalty", word, repetition_penalty=1.05)
    # min_new_tokens holds back eos ids only, never a stop string.
    yield stop("min_new_tokens does not hold it back", word, min_new_tokens=30, eos_token_id=[496])


def split_character_cases(g, seeds):
    """Characters that no single token holds."""
    for seed in seeds:
        prompt = torch.randint(0, 495, (5,), generator=torch.Generator().manual_seed(seed)).tolist()
        base, _ = g.run(prompt, max_new_tokens=BASE_TOKENS)
        text = g.decode(base)
        alone = "".join(g.decode([i]) for i in base)
        char = next(c for c in text if ord(c) >= 0x100 and c not in alone)
        at = text.index(char)
        yield g.case(f"split character, seed {seed}", prompt, max_new_tokens=BASE_TOKENS)
        for label, stop in {
            "alone": char,
            "with what precedes": text[at - 1 : at + 1],
            "with what follows": text[at : at + 2],
        }.items():
            # U+FFFD stands for bytes that are no text; it cannot be asked for.
            if "\ufffd" not in stop:
                name = f"stop: split character {label}, seed {seed}"
                yield g.case(name, prompt, max_new_tokens=BASE_TOKENS, stop_strings=[stop])


def limit(g, **options):
    """A doubtful option, and what transformers makes of it."""
    try:
        ids, _ = g.run("Hello", max_new_tokens=4, **options)
    except Exception as error:  # noqa: BLE001: the kind of error is the answer
        return {"options": options, "accepted": False, "error": type(error).__name__, "message": str(error)}
    return {"options": options, "accepted": True, "ids": ids}


def score(g, prompt, continuation):
    """Log-probability of each continuation token, given all before it."""
    ids, new = g.ids(prompt), g.ids(continuation)
    with torch.no_grad():
        logits = g.model(torch.tensor([ids + new])).logits[0]
    logp = logits.log_softmax(-1)[len(ids) - 1 : -1]
    chosen = logp.gather(-1, torch.tensor(new)[:, None])[:, 0]
    return {
        "model": g.name,
        "prompt_ids": ids,
        "ids": new,
        "logprobs": chosen.tolist(),
        "sum": chosen.double().sum().item(),
        "is_greedy": (logp.argmax(-1) == torch.tensor(new)).tolist(),
    }


def main():
    out = out_dir(__doc__)
    cases, limits, scores = [], [], []
    for name, option_prompt, stop_prompts, seeds in [
        ("tiny-mha-f32", "She read the word", ["self.path = path", "the dog"], [9, 103]),
        ("tiny-gqa-bf16", "one two", ["Hello"], []),
    ]:
        g = Generator(out, name)
        cases += option_cases(g, option_prompt)
        for prompt in stop_prompts:
            cases += stop_cases(g, prompt)
        cases += split_character_cases(g, seeds)
        greedy, _ = g.run("The", max_new_tokens=20)
        scores += [
            score(g, "The miller's boat", " lay at the edge of the water"),
            score(g, "T", "he"),
            score(g, "The", greedy),
            score(g, "<|endoftext|>", "def mean(values):\n    return None\n"),
            score(g, "What is the sum of 128 and 256?", " It is 384."),
            score(g, "\u591c\u306e\u6d77", "\u306f\u9759\u304b\u3067 \U0001f389"),
            score(g, "The rain had not stopped since the morning, " * 2, "<|endoftext|>"),
        ]
        if name == MODELS[0]:
            # Here the third token is <|fim_prefix|>, which decoding leaves out,
            # but which HF still looks into.
            for n, stop in enumerate(["fim_pre", "p<|fim"]):
                cases.append(
                    g.case(f"stop: inside a special token, {n}", "The", max_new_tokens=8, stop_strings=[stop])
                )
            limits = [limit(g, stop_strings=s) for s in ([], [""], ["", "g"])]
            limits += [limit(g, repetition_penalty=0.0), limit(g, eos_token_id=[])]
    write_json(
        out / "generate.json", {"versions": versions(), "cases": cases, "limits": limits, "scores": scores}
    )
    print(len(cases), "cases,", len(scores), "scores")


if __name__ == "__main__":
    main()
