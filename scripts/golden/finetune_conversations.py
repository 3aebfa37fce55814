"""Conversations that are hard to prepare: blanks of all kinds, special tokens spelt out, answers in odd places."""

import random

BLANKS = ["", " ", "\n", "\n\n", "\t", "\r\n", "\u00a0", "\u3000", "\u2028", "\u0085", "\x1c", "\x1f", "\ufeff",
          "\u200b", "  \n ", "\x0b", "\u1680", "\u202f"]
WORDS = ["the", "cat", " sat", "on", "Yes.", "no", "e", "end", "im", "<", "|", ">", "<|", "|>", "end|>", "1234567",
         "don't", "'LL", "café", "naïve", "日本語", "😀", "👩‍👩‍👧", "e\u0301", "ß", "Ω", "🇩🇪", "<think>", "</think>",
         "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>", "<|user|>", "<|assistant|>\n", "|||EMAIL_ADDRESS|||",
         "|||PHONE_NUMBER|||IP_ADDRESS|||", "<|im_end", "assistant", "system", "{{ bos_token }}", "{% raw %}", "\\n",
         "<functions>", "</functions>", "\u0000", "\"", "\\", "def f():\n    return 1\n", "# Title\n\n- a\n- b\n"]
FEW = ["<|endoftext|>", "<|im_end|>", "<|im_start|>", "\u0000"]


def text(r: random.Random, longest: int = 12) -> str:
    """Words and blanks, with a blank at an end now and then."""
    parts = []
    for _ in range(r.choice([0, 1, 1, 2, 3, 5, r.randint(1, longest)])):
        word = r.choice(WORDS)
        if word in FEW and r.random() < 0.7:
            word = "word"
        parts.append(word)
        parts.append(r.choice([" ", " ", " ", "", ", ", r.choice(BLANKS)]))
    said = "".join(parts)
    if r.random() < 0.75:
        said = said.strip(" \n")
    return r.choice(BLANKS) + said if r.random() < 0.12 else said


def thought(r: random.Random) -> str:
    return "<think>" + text(r) + r.choice(["</think>", "\n</think>\n\n", "</think>\n", ""]) + text(r)


def message(r: random.Random, role: str) -> dict:
    one = {"role": role, "content": thought(r) if role == "assistant" and r.random() < 0.15 else text(r)}
    if role == "assistant" and r.random() < 0.05:
        one["content"] = None
    if role in ("system", "user") and r.random() < 0.1:
        one["functions"] = text(r)
    if role == "assistant" and r.random() < 0.1:
        one["function_calls"] = text(r)
    return one


def conversation(r: random.Random) -> list[dict]:
    kind = r.random()
    if kind < 0.7:
        messages = [message(r, "system")] if r.random() < 0.4 else []
        for _ in range(r.choice([1, 1, 1, 2, 2, 3, 5])):
            messages.append(message(r, "user"))
            if r.random() < 0.08:
                messages.append(message(r, "user"))
            messages.append(message(r, "assistant"))
            if r.random() < 0.1:
                messages.append(message(r, r.choice(["environment", "tool"])))
                messages.append(message(r, "assistant"))
            if r.random() < 0.06:
                messages.append(message(r, "assistant"))
        if r.random() < 0.08:
            messages.append(message(r, "user"))
        return messages
    roles = ["system", "user", "assistant", "assistant", "user", "environment", "tool", "developer"]
    return [message(r, r.choice(roles)) for _ in range(r.randint(1, 6))]


def without_null(messages: list[dict]) -> list[dict]:
    """For templates and programs that join contents as they are."""
    return [one | {"content": one["content"] if one["content"] is not None else ""} for one in messages]
