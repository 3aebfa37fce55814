"""The ids that transformers' AutoTokenizer gives for some strings.

    python make_ids.py ../../../../models/recipe/tokenizer > ids.json
"""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

from transformers import AutoTokenizer

STRINGS = [
    "The little dog ran to the",
    "Once upon a time",
    "Language modeling is",
    "The capital of France is",
    "\"What's the matter?\" asked the old man, who'd come in from the cold.",
    "'Tis 'twas o'clock rock'n'roll",
    "WE'LL IT'S I'M YOU'RE DON'T",
    "User: Hi, I'd like a table for 2.\nAssistant: Sure. What time?\n",
    "A fox.\nA hare.\n\nA crow.\n\n\nAn owl.",
    "  two before, two behind  ",
    "\tif x:\n\t\treturn 1\r\n",
    "def f(x):\n    return x + 1\n",
    "1, 12, 123, 1234, 12345, 123456",
    "3.14159 and 1,000,000 on 4 July 1776",
    "costs $34.50 (50% off!)",
    "well-known -- half-finished—and then…",
    "\u201cCurly,\u201d she said, \u2018and single.\u2019",
    "na\u00efve caf\u00e9 na\u0131f cafe\u0301",
    "Zoë, Łódź, Ångström, smörgåsbord",
    "Привет, мир",
    "你好，世界。",
    "こんにちは 世界",
    "مرحبا بالعالم",
    "שלום עולם",
    "नमस्ते दुनिया",
    "😀 👩‍👩‍👧 🇫🇷",
    "\u00a0no-break\u2003em space\u3000wide",
    "\u200bzero\u200dwidth\ufeff",
    "a\u0000b\u0007c\u001b[0m",
    "\u2028line\u2029paragraph\u0085next",
    "\ufffd \U0010ffff \ue000",
    "<|endoftext|>",
    "end<|endoftext|>beginning",
    "<|im_start|>user\nHi<|im_end|>",
    "<|user|>\nHi\n<|assistant|>\n",
    "<|pad|><|pad|>",
    "call |||PHONE_NUMBER||| or |||EMAIL_ADDRESS|||",
    "<|extra_id_0|> <|extra_id_10|> <|extra_id_11|>",
    "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>",
    "<|endofprompt|> <|endofprompt| |endofprompt|>",
    "antidisestablishmentarianism",
    "Bunny Brown and his sister Sue",
    "photosynthesis, thermodynamics, jurisprudence",
    "https://example.org/a?b=c&d=%20#e",
    "e.g., i.e., Mr. and Mrs. Smith, a.k.a. \"them\"",
    "!!!???...---===***",
    "a",
    " a",
    " ",
    "\n",
    "",
    "   \n \t \n   x",
    "HELLO Hello hello hELLO",
    "snake_case camelCase kebab-case PascalCase",
    "x" * 70,
    "ha" * 40 + " " * 30 + "ho",
    "I\u017f'\u017f 'S'T'D",
    "½ ² Ⅷ ① ٣",
    "The quick brown fox jumps over the lazy dog.",
    "It was the best of times, it was the worst of times.",
]


def main():
    tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
    assert len(set(STRINGS)) == len(STRINGS) >= 50
    lines = []
    for text in STRINGS:
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert ids == tokenizer.encode(text), "something is put around the text"
        assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text, text
        lines.append(json.dumps({"text": text, "ids": ids}))
    print('{"strings": [\n' + ",\n".join(lines) + "\n]}")


if __name__ == "__main__":
    main()
