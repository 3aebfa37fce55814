"""Fetch the real dolma2 tokenizer again and hold the committed strings to it."""

import hashlib
import json

from common import GOLDEN
from make_tokenizer import SHA256, STRINGS, cut, encode_all, fetch_dolma2
from tokenizers import Tokenizer

# `chktxt` of `get_vocab_base_pre` in llama.cpp's conversion/base.py, and the hash by which that function knows
# databricks/dbrx-base: the name it gives dolma2's way to split words is dbrx.
LLAMA_CPP_TEXT = (
    "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n🚀 (normal) 😶\u200d🌫️ (multiple emojis concatenated) "
    "✅ 🦙🦙 3 33 333 3333 33333 333333 3333333 33333333 3.3 3..3 3...3 កាន់តែពិសេសអាច😁 ?我想在apple工作1314151天～ "
    "------======= нещо на Български ''''''```````\"\"\"\"......!!!!!!?????? I've been 'told he's there, 'RE you "
    "sure? 'M not sure I'll make it, 'D you like some tea? We'Ve a'lL"
)
LLAMA_CPP_DBRX = "a8594e3edff7c29c003940395316294b2c623e09894deebbc65f33f1515df79e"


def main():
    text = fetch_dolma2()
    stored = json.loads((GOLDEN / "dolma2_strings.json").read_text("ascii"))
    assert stored["source"]["sha256"] == SHA256
    assert [entry["text"] for entry in stored["strings"]] == STRINGS
    assert stored["strings"] == encode_all(Tokenizer.from_str(text)), "the real tokenizer disagrees"
    subset = (GOLDEN / "dolma2-subset" / "tokenizer.json").read_text("utf-8")
    assert stored["strings"] == encode_all(Tokenizer.from_str(subset)), "the subset disagrees"
    assert subset == cut(text) + "\n", "the subset is not the cut of the real tokenizer"
    ids = Tokenizer.from_str(text).encode(LLAMA_CPP_TEXT).ids
    assert hashlib.sha256(str(ids).encode()).hexdigest() == LLAMA_CPP_DBRX, "llama.cpp has another name for it"
    print(len(STRINGS), "strings agree with dolma2 and with the subset")


if __name__ == "__main__":
    main()
