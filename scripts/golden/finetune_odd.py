"""Files of conversations that are odd in one way each: what people's programs write, and what they should not."""

import json
import random

import finetune_conversations as made


def rows(r: random.Random) -> list[dict]:
    """A few plain ones, all of whose templates can be rendered."""
    found = []
    for _ in range(r.choice([1, 1, 2, 4])):
        turns = [("user", made.text(r)), ("assistant", made.text(r) or "Yes.")] * r.choice([1, 1, 2])
        found.append({"messages": [{"role": role, "content": content} for role, content in turns]})
    return found


def lines(found: list) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in found).encode()


def with_message(change):
    """Changes one message, of the role that `change` is asked for or of any."""

    def kind(r: random.Random) -> bytes:
        found = rows(r)
        messages = r.choice(found)["messages"]
        at = r.randrange(len(messages))
        messages[at] = change(r, messages[at])
        return lines(found)

    return kind


def with_row(change):
    def kind(r: random.Random) -> bytes:
        found = rows(r)
        at = r.randrange(len(found))
        found[at] = change(r, found[at])
        return lines(found)

    return kind


def with_text(change):
    """Changes the text of the whole file."""
    return lambda r: change(r, lines(rows(r)).decode()).encode("utf-8", "surrogatepass")


def content(*values):
    return with_message(lambda r, one: one | {"content": r.choice(values)})


def column(name, *values):
    return with_row(lambda r, row: row | {name: r.choice(values)})


def key(name, *values):
    return with_message(lambda r, one: one | {name: r.choice(values)})


def without(name):
    return with_message(lambda r, one: {key: value for key, value in one.items() if key != name})


def escape(what):
    """Puts an escape or a character into the first content, as it is."""
    return with_text(lambda r, text: text.replace('"content": "', f'"content": "{what}', 1))


def twice(name, value):
    """A key that comes twice."""
    return with_text(lambda r, text: text.replace(f'"{name}":', f'"{name}": {value}, "{name}":', r.randint(1, 2)))


# What ours refuses wherever it is, though templates of theirs print it as Python does.
REFUSED = {"content list", "content object"}

FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {"x": {"type": "number"}}}}

KINDS = {
    "content int": content(5, 0, -1, 10**12),
    "content huge int": content(10**25, 2**63, 2**64),
    "content float": content(0.5, 5.0, 1e22, -0.0, 1e-7),
    "content bool": content(True, False),
    "content nan": content(float("nan"), float("inf"), -float("inf")),
    "content list": content([], ["x"], [{"type": "text", "text": "x"}]),
    "content object": content({}, {"text": "x"}),
    "content null": content(None),
    "content missing": without("content"),
    "content blank": content("", " ", "\n", "\u3000", "\x1c"),
    "role missing": without("role"),
    "role null": key("role", None),
    "role number": key("role", 5, True),
    "role odd": key("role", "Assistant", " assistant", "ASSISTANT", "human", "gpt", "", "tool", "developer", "ipython"),
    "message null": with_message(lambda r, one: None),
    "message text": with_message(lambda r, one: one["content"]),
    "messages empty": column("messages", []),
    "messages null": column("messages", None),
    "messages text": with_row(lambda r, row: {"messages": json.dumps(row["messages"])}),
    "messages missing": with_row(lambda r, row: {"id": 1}),
    "functions": key("functions", "f", "", None),
    "functions odd": key("functions", [], ["f"], {"f": 1}, 5, True),
    "function_calls": key("function_calls", "f()", "", None),
    "function_calls odd": key("function_calls", [], ["f"], {"f": 1}, 5, True),
    "other keys": key(made.WORDS[0], "x", None, 5, ["x"], {"y": 1}),
    "tools": column("tools", [FUNCTION], FUNCTION, json.dumps([FUNCTION]), json.dumps(FUNCTION), [FUNCTION, {"name": "g"}]),
    "tools empty": column("tools", None, "", [], "[]", "null", '""', {}, "{}"),
    "tools odd": column("tools", 5, True, "x", ["x"], [[]], '["x"]', "5", [FUNCTION, "x"], [None]),
    "tools nan": column("tools", float("nan"), "NaN", '{"x": NaN}'),
    "tools twice": column("tools", '[{"name": "f", "name": "g"}]'),
    "column nan": column("score", float("nan"), float("inf"), -float("inf")),
    "column huge": column("n", 10**30, 2**64, -(2**63) - 1, 1e308),
    "column deep": column("x", json.loads("[" * 60 + "]" * 60)),
    "column 1e400": with_text(lambda r, text: text.replace('{"messages"', '{"n": 1e400, "messages"', 1)),
    "twice content": twice("content", '"No."'),
    "twice role": twice("role", '"user"'),
    "twice messages": twice("messages", "[]"),
    "twice other": with_text(lambda r, text: text.replace('{"messages"', '{"id": 1, "id": 2, "messages"')),
    "escape nul": escape("\\u0000"),
    "escape pair": escape("\\ud83d\\ude00"),
    "escape high surrogate": escape("\\ud800"),
    "escape low surrogate": escape("\\udc00"),
    "escape solidus": escape("\\/\\b\\f"),
    "escape wrong": escape("\\x41"),
    "raw nul": escape("\0"),
    "raw control": escape("\x01"),
    "raw tab": escape("\t"),
    "raw surrogate": escape("\ud800"),
    "raw del": escape("\x7f\x80\x85\u2028"),
    "raw noncharacters": escape("\uffff\ufdd0\U0010ffff"),
    "bom": with_text(lambda r, text: "\ufeff" + text),
    "crlf": with_text(lambda r, text: text.replace("\n", "\r\n")),
    "blank lines": with_text(lambda r, text: "\n \n" + text.replace("\n", "\n\n \t\n")),
    "no end": with_text(lambda r, text: text[:-1]),
    "blanks": with_text(lambda r, text: text.replace(": ", " :\t").replace("{", " { ")),
    "array": with_text(lambda r, text: "[" + ",\n".join(text.strip().split("\n")) + "]"),
    "array pretty": lambda r: json.dumps(rows(r), indent=r.choice([1, 2])).encode(),
    "half a line": with_text(lambda r, text: text[: r.randrange(1, len(text))]),
    "trailing comma": with_text(lambda r, text: text.replace("}]", "},]", 1)),
    "comment": with_text(lambda r, text: text + "// the end\n"),
    "single quotes": with_text(lambda r, text: text.replace('"', "'", 8)),
    "latin-1": lambda r: lines(rows(r)).replace(b'"content": "', b'"content": "\xe9', 1),
    "utf-16": lambda r: lines(rows(r)).decode().encode("utf-16"),
    "zeros": lambda r: lines(rows(r)) + b"\0" * 40,
}
