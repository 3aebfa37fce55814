"""Fetch the real dolma2 tokenizer again and hold the committed strings to it."""

import json

from common import GOLDEN
from make_tokenizer import SHA256, STRINGS, cut, encode_all, fetch_dolma2
from tokenizers import Tokenizer


def main():
    text = fetch_dolma2()
    stored = json.loads((GOLDEN / "dolma2_strings.json").read_text("ascii"))
    assert stored["source"]["sha256"] == SHA256
    assert [entry["text"] for entry in stored["strings"]] == STRINGS
    assert stored["strings"] == encode_all(Tokenizer.from_str(text)), "the real tokenizer disagrees"
    subset = (GOLDEN / "dolma2-subset" / "tokenizer.json").read_text("utf-8")
    assert stored["strings"] == encode_all(Tokenizer.from_str(subset)), "the subset disagrees"
    assert subset == cut(text) + "\n", "the subset is not the cut of the real tokenizer"
    print(len(STRINGS), "strings agree with dolma2 and with the subset")


if __name__ == "__main__":
    main()
