"""Put fixed logits through transformers' own logits processors.

The list of processors, and its order, is always what
GenerationMixin._get_logits_processor builds from the options; nothing is put
in order by hand.
"""

import math

from common import out_dir, quiet_torch, versions, write_json

torch = quiet_torch()

from transformers import GenerationConfig, Olmo2Config, Olmo2ForCausalLM  # noqa: E402

VOCAB = 40
EOS = [3]


def vectors():
    gen = torch.Generator().manual_seed(7)
    normal = 2 * torch.randn(VOCAB, generator=gen)
    close = 0.05 * torch.randn(VOCAB, generator=gen)
    negative = -torch.rand(VOCAB, generator=gen) * 12 - 1
    peaked = torch.randn(VOCAB, generator=gen)
    peaked[17] = 30.0
    two_peaks = torch.randn(VOCAB, generator=gen) - 4
    two_peaks[5] = two_peaks[21] = 6.0
    steps = torch.randint(-3, 4, (VOCAB,), generator=gen).float()
    wide = torch.linspace(-60, 60, VOCAB)[torch.randperm(VOCAB, generator=gen)]
    return {
        "normal": normal,
        "close": close,
        "negative": negative,
        "peaked": peaked,
        "two_peaks": two_peaks,
        "ties": steps,
        "wide": wide,
        "flat": torch.zeros(VOCAB),
    }


# Ids that came before; the last few repeat earlier ones, so that n-grams and
# longer bad words find something to forbid.
HISTORY = {
    "none": [11],
    "short": [4, 9, 4, 9, 4],
    "long": [17, 5, 21, 8, 17, 5, 21, 30, 3, 17, 5, 12, 17, 5],
}
PROMPT = 4  # how many of the ids count as the prompt, where there are that many

SINGLE = [
    {"temperature": 0.7},
    {"temperature": 2.5},
    {"temperature": 0.01},
    {"temperature": 1.0},
    {"top_k": 1},
    {"top_k": 5},
    {"top_k": 39},
    {"top_k": 40},
    {"top_k": 1000},
    {"top_k": 0},
    {"top_p": 0.0},
    {"top_p": 0.1},
    {"top_p": 0.5},
    {"top_p": 0.9},
    {"top_p": 0.999},
    {"top_p": 1.0},
    {"min_p": 0.0},
    {"min_p": 0.05},
    {"min_p": 0.3},
    {"min_p": 1.0},
    {"typical_p": 0.1},
    {"typical_p": 0.5},
    {"typical_p": 0.95},
    {"typical_p": 1.0},
    {"repetition_penalty": 1.3},
    {"repetition_penalty": 0.6},
    {"repetition_penalty": 5.0},
    {"repetition_penalty": 1.0},
    {"no_repeat_ngram_size": 1},
    {"no_repeat_ngram_size": 2},
    {"no_repeat_ngram_size": 3},
    {"no_repeat_ngram_size": 20},
    {"bad_words_ids": [[5]]},
    {"bad_words_ids": [[5], [21], [0]]},
    {"bad_words_ids": [[17, 5, 21]]},
    {"bad_words_ids": [[5, 17], [9, 4, 9], [4, 9]]},
    {"bad_words_ids": [[5, 21], [5, 12], [17, 5, 8], [1]]},
    {"bad_words_ids": [[3], [4]]},
    {"bad_words_ids": [[11] * 15 + [2]]},
    {"min_new_tokens": 1},
    {"min_new_tokens": 5},
    {"min_new_tokens": 10},
    {"min_new_tokens": 30},
]

COMBINED = [
    {"temperature": 0.8, "top_k": 10},
    {"temperature": 0.8, "top_p": 0.9},
    {"temperature": 1.5, "min_p": 0.1},
    {"temperature": 0.6, "typical_p": 0.7},
    {"top_k": 8, "top_p": 0.8},
    {"top_k": 3, "top_p": 0.99},
    {"top_k": 12, "min_p": 0.2},
    {"top_k": 6, "typical_p": 0.5},
    {"top_p": 0.7, "min_p": 0.1},
    {"top_p": 0.6, "typical_p": 0.6},
    {"min_p": 0.02, "typical_p": 0.9},
    {"temperature": 0.7, "top_k": 20, "top_p": 0.95},
    {"temperature": 1.2, "top_k": 15, "top_p": 0.85, "min_p": 0.03},
    {"temperature": 1.2, "top_k": 15, "top_p": 0.85, "min_p": 0.03, "typical_p": 0.8},
    {"repetition_penalty": 1.2, "temperature": 0.7},
    {"repetition_penalty": 1.5, "top_k": 4},
    {"repetition_penalty": 1.5, "top_p": 0.8, "temperature": 0.9},
    {"repetition_penalty": 0.8, "no_repeat_ngram_size": 2},
    {"no_repeat_ngram_size": 2, "top_k": 5},
    {"no_repeat_ngram_size": 3, "temperature": 0.5, "top_p": 0.9},
    {"bad_words_ids": [[5], [17, 5, 21]], "top_k": 3},
    {"bad_words_ids": [[5, 12], [21]], "repetition_penalty": 1.4, "temperature": 1.1},
    {"bad_words_ids": [[17]], "no_repeat_ngram_size": 2, "top_p": 0.5},
    {"min_new_tokens": 12, "top_k": 5},
    {"min_new_tokens": 12, "bad_words_ids": [[4], [3]], "min_p": 0.1},
    {"min_new_tokens": 12, "repetition_penalty": 1.1, "no_repeat_ngram_size": 2, "temperature": 0.9},
    {"min_new_tokens": 2, "no_repeat_ngram_size": 1, "typical_p": 0.8},
    {
        "repetition_penalty": 1.3,
        "no_repeat_ngram_size": 3,
        "bad_words_ids": [[8], [17, 5, 30]],
        "min_new_tokens": 20,
        "temperature": 0.75,
        "top_k": 12,
        "top_p": 0.92,
        "min_p": 0.02,
        "typical_p": 0.9,
    },
]

# Options on their own, each with whatever transformers says about it. The
# list holds values at and past every limit, accepted ones among them.
LIMITS = [
    *({"temperature": v} for v in (0.0, -0.5, 1, 2, 1e-6)),
    *({"top_k": v} for v in (0, -1, 2.5, 1)),
    *({"top_p": v} for v in (-0.1, 0.0, 1.0, 1.5)),
    *({"min_p": v} for v in (-0.1, 0.0, 1.0, 1.1)),
    *({"typical_p": v} for v in (0.0, -0.1, 1.0, 1.5)),
    *({"repetition_penalty": v} for v in (0.0, -1.0, 2, 1.0)),
    *({"no_repeat_ngram_size": v} for v in (0, -1, 2.5)),
    *({"bad_words_ids": v} for v in ([], [[]], [[1], []], [[-1]], [[40]], [[2, 40]], [[40, 2]], [1], [[3]])),
    *({"min_new_tokens": v} for v in (0, -1, 2.5)),
    *({"max_new_tokens": v} for v in (0, -1)),
]


class Processors:
    def __init__(self):
        # Only the class matters: it lends _get_logits_processor.
        self.model = Olmo2ForCausalLM(
            Olmo2Config(
                vocab_size=VOCAB,
                hidden_size=8,
                intermediate_size=8,
                num_hidden_layers=1,
                num_attention_heads=1,
                pad_token_id=0,
                eos_token_id=EOS,
            )
        )

    def build(self, options, ids, prompt_length, eos):
        config = GenerationConfig(do_sample=True, eos_token_id=eos, pad_token_id=0, **options)
        config.validate()
        self.model._prepare_special_tokens(config, True, device="cpu")
        return self.model._get_logits_processor(
            config,
            input_ids_seq_length=prompt_length,
            device="cpu",
            model_kwargs={"attention_mask": torch.ones(1, len(ids), dtype=torch.long)},
        )

    def run(self, logits, options, ids, prompt_length, eos):
        processors = self.build(options, ids, prompt_length, eos)
        scores = processors(torch.tensor([ids]), logits[None].clone())
        return processors, scores[0]


def probabilities(scores):
    return [float(f"{p:.12g}") for p in scores.double().softmax(-1).tolist()]


def renamed(perm, options, ids, eos):
    """The same question asked with every token id replaced by another."""
    to = torch.argsort(perm).tolist()
    options = dict(options)
    if "bad_words_ids" in options:
        options["bad_words_ids"] = [[to[i] for i in word] for word in options["bad_words_ids"]]
    return options, [to[i] for i in ids], [to[i] for i in eos]


def case(tool, name, logits, options, ids, eos=EOS):
    prompt_length = min(PROMPT, len(ids))
    processors, scores = tool.run(logits, options, ids, prompt_length, eos)
    entry = {
        "name": name,
        "logits": logits.tolist(),
        "ids": ids,
        "prompt_length": prompt_length,
        "eos_token_id": eos,
        "options": options,
        "processors": [type(p).__name__ for p in processors],
    }
    if not torch.isfinite(scores).any():
        # Everything is forbidden; softmax would be nan.
        return entry | {"probs": None}
    # Which of several equal tokens survive depends on how the sort breaks
    # ties; seen by asking again with the ids shuffled.
    ties = False
    for seed in range(4):
        perm = torch.randperm(VOCAB, generator=torch.Generator().manual_seed(seed))
        other, other_ids, other_eos = renamed(perm, options, ids, eos)
        again = tool.run(logits[perm], other, other_ids, prompt_length, other_eos)[1]
        back = torch.empty_like(again)
        back[perm] = again
        ties = ties or not torch.equal(back.isinf(), scores.isinf())
    # A sum that lands on a limit is decided by its last bit; seen by asking
    # again in double precision.
    exact = tool.run(logits.double(), options, ids, prompt_length, eos)[1]
    rounding = not torch.equal(exact.isinf(), scores.isinf())
    return entry | {
        "probs": probabilities(scores),
        "kept": int(torch.isfinite(scores).sum()),
        "tie_dependent": ties,
        "rounding_dependent": rounding,
    }


def limit(tool, options):
    logits = vectors()["normal"]
    try:
        processors, _ = tool.run(logits, options, HISTORY["short"], PROMPT, EOS)
    except Exception as error:  # noqa: BLE001: the kind of error is the answer
        return {"options": options, "accepted": False, "error": type(error).__name__, "message": str(error)}
    return {"options": options, "accepted": True, "processors": [type(p).__name__ for p in processors]}


def main():
    out = out_dir(__doc__)
    tool = Processors()
    logits = vectors()
    cases = []

    def add(vector, history, options, eos=EOS):
        name = f"{vector}/{history}/" + ",".join(f"{k}={v}" for k, v in options.items())
        name += "" if eos == EOS else f",eos={eos}"
        cases.append(case(tool, name, logits[vector], options, HISTORY[history], eos))

    plain = ("temperature", "top_k", "top_p", "min_p", "typical_p")
    for options in SINGLE:
        if next(iter(options)) in plain:
            for vector in logits:
                add(vector, "long", options)
        else:
            for history in HISTORY:
                add("normal", history, options)
            add("negative", "long", options)
            add("ties", "long", options)
    for vector in ("normal", "negative", "two_peaks", "ties", "close"):
        for options in COMBINED:
            add(vector, "long", options)
    for eos in ([3, 17, 39], [0]):
        for options in ({"min_new_tokens": 12}, {"bad_words_ids": [[17], [5]], "min_new_tokens": 11}):
            add("normal", "long", options, eos)
    add("normal", "long", {"bad_words_ids": [[i] for i in range(VOCAB) if i != 3], "min_new_tokens": 20})

    for entry in cases:
        assert entry["probs"] is None or math.isclose(sum(entry["probs"]), 1, abs_tol=1e-10)

    # The vectors repeat in many cases; they are kept once, by name.
    for entry in cases:
        entry["logits"] = entry["name"].split("/")[0]
    write_json(
        out / "processors.json",
        {
            "versions": versions(),
            "vocab": VOCAB,
            "logits": {name: values.tolist() for name, values in logits.items()},
            "cases": cases,
            "limits": [limit(tool, options) for options in LIMITS],
        },
    )


if __name__ == "__main__":
    main()
