"""Render the chat template with transformers, text and ids."""

from common import load_tokenizer, out_dir, versions, write_json


def turn(role, content):
    return {"role": role, "content": content}


USER = turn("user", "What is 2 + 2?")
ANSWER = turn("assistant", "It is 4.")
SYSTEM = turn("system", "You are a careful assistant.")

CONVERSATIONS = {
    "one user": [USER],
    "system and user": [SYSTEM, USER],
    "answered": [USER, ANSWER],
    "many turns": [SYSTEM, USER, ANSWER, turn("user", "And 3 + 3?")],
    "many turns, answered": [USER, ANSWER, turn("user", "And 3 + 3?"), turn("assistant", "It is 6.")],
    "only system": [SYSTEM],
    "only assistant": [ANSWER],
    "two users in a row": [USER, turn("user", "Quickly, please.")],
    "two answers in a row": [USER, ANSWER, turn("assistant", "I am sure.")],
    "system in the middle": [USER, SYSTEM, turn("user", "Well?")],
    "empty user": [turn("user", "")],
    "empty everything": [turn("system", ""), turn("user", ""), turn("assistant", "")],
    "spaces kept": [turn("user", "  two before, two after  "), turn("assistant", "\n\nlines\n")],
    "line ends": [turn("user", "a\nb\r\nc\n")],
    "markers in the content": [turn("user", "<|assistant|>\nSure.<|user|>\nNo."), ANSWER],
    "special tokens in the content": [turn("user", "a<|endoftext|>b<|im_start|>c<|pad|>")],
    "quotes and braces": [turn("user", "{{ bos_token }} {% if x %} \"'\\ {# #} </s>")],
    "markup is not escaped": [turn("user", "<b>a & b</b> 'c' \"d\"")],
    "Unicode": [
        turn("system", "R\u00e9ponds en fran\u00e7ais."),
        turn("user", "\u591c\u306e\u6d77 \U0001f600 \u0645\u0631\u062d\u0628\u0627"),
        turn("assistant", "\U0001f44d\U0001f3fd"),
    ],
    "unknown role left out": [turn("tool", "42"), USER],
    "unknown role last": [USER, turn("tool", "42")],
}

# What may be refused; the error is part of the behaviour.
DOUBTFUL = {
    "no messages": [],
    "content is null": [turn("user", None)],
    "content is a number": [turn("user", 3)],
    "no content": [{"role": "user"}],
    "no role": [{"content": "x"}],
}


def render(tok, messages, generate):
    text = tok.apply_chat_template(messages, tokenize=False, add_generation_prompt=generate)
    # The template writes the bos token itself, so none is to be added.
    ids = tok.encode(text, add_special_tokens=False)
    assert ids == list(
        tok.apply_chat_template(messages, tokenize=True, return_dict=False, add_generation_prompt=generate)
    )
    return {"messages": messages, "add_generation_prompt": generate, "text": text, "ids": ids}


def failure(tok, messages):
    try:
        text = tok.apply_chat_template(messages, tokenize=False)
    except Exception as error:  # noqa: BLE001: the kind of error is the answer
        return {"messages": messages, "error": type(error).__name__, "message": str(error)}
    return {"messages": messages, "text": text}


def main():
    out = out_dir(__doc__)
    tok = load_tokenizer(out / "tiny-mha-f32")
    cases = [
        {"name": name, **render(tok, messages, generate)}
        for name, messages in CONVERSATIONS.items()
        for generate in (False, True)
    ]
    write_json(
        out / "chat.json",
        {
            "versions": versions(),
            "tokenizer": "tiny-mha-f32",
            "chat_template": tok.chat_template,
            "bos_token": tok.bos_token,
            "eos_token": tok.eos_token,
            "cases": cases,
            "doubtful": [{"name": name, **failure(tok, messages)} for name, messages in DOUBTFUL.items()],
        },
    )


if __name__ == "__main__":
    main()
