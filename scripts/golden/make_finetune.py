"""Golden data for fine-tuning: what AllenAI's own programs make of our conversations.

    .venv/bin/python scripts/golden/make_finetune.py --open-instruct DIR --olmo DIR

The folders are checkouts of allenai/open-instruct at e6c3044 and of allenai/OLMo at 59a53e3; nothing of them is
kept here. It needs torch, transformers 5.24, datasets 5.2, numpy 2.4, ai2-olmo 0.6 (without dependencies) and rich.
The tokenizer is that of models/olmo2-5m.
"""

import argparse
import contextlib
import gzip
import hashlib
import io
import logging
import json
import os
import pathlib
import random
import tempfile

import finetune_exact
import finetune_reference as reference
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from finetune_conversations import conversation, without_null

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "crates" / "olmo-finetune" / "tests" / "golden"
TOKENIZER = "models/olmo2-5m"
# The same with so many ids before its own, that 16 bits do not hold them; `widened` makes it, and the test does.
WIDE = "models/olmo2-wide"
FILLERS = 70_000
NAMES = ["conversations.jsonl", "joined.jsonl", "conversations.parquet"]

OLMO = [
    "olmo",
    "olmo_old",
    "olmo_thinker",
    "olmo_thinker_no_think_7b",
    "olmo_thinker_no_think_sft_tokenization",
    "olmo_thinker_remove_intermediate_thinking",
]
OTHERS = [
    "tulu",
    "tulu_thinker",
    "zephyr",
    "simple_chat",
    "simple_concat_with_space",
    "simple_concat_with_new_line",
    "assistant_message_only",
]
# Those of reinforcement learning: they join contents as they are, whatever is in their names.
REASONING = [
    "tulu_thinker_r1_style",
    "olmo_thinker_rlzero",
    "olmo_thinker_code_rlzero",
    "r1_simple_chat",
    "r1_simple_chat_postpend_think",
    "r1_simple_chat_postpend_think_orz_style",
    "r1_simple_chat_postpend_think_tool_vllm",
    "qwen_instruct_user_boxed_math",
]
TEMPLATES = OLMO + OTHERS + REASONING


def cases() -> list[dict]:
    """What is asked of the conversion for OLMo-core."""
    first = [{"template": name, "data": ["conversations.jsonl:1.0"]} for name in OLMO]
    first += [{"template": name, "data": ["joined.jsonl:1.0"], "add_bos": True} for name in OTHERS]
    first += [{"template": None, "data": ["joined.jsonl:1.0"]}]
    cut = [one | {"max_seq_len": length} for one in first[:1] + first[6:7] + first[3:4] for length in (24, 60, 128)]
    mixes = [["conversations.jsonl:0.5", "joined.jsonl:25"], ["joined.jsonl:2.5"], ["joined.jsonl:1.0", "joined.jsonl:3"]]
    mixed = [first[0] | {"data": data, "seed": seed} for data, seed in zip(mixes, (0, 7, 2**40))]
    joined = {"data": ["joined.jsonl:1.0"]}
    last = [joined | {"template": name, "add_bos": "olmo" not in name} for name in REASONING]
    columns = [one | {"data": ["conversations.parquet:1.0"]} for one in (first[0], cut[0])]
    wide = [one | {"tokenizer": WIDE} for one in (first[0], first[6], cut[1])]
    return first + cut + mixed + last + wide + columns


def widened(folder: pathlib.Path) -> None:
    """Writes the tokenizer whose ids begin after those of tokens that no text has."""
    tokenizer = json.loads((ROOT / TOKENIZER / "tokenizer.json").read_text())
    vocab = {f"<|filler_{index}|>": index for index in range(FILLERS)}
    vocab |= {token: index + FILLERS for token, index in tokenizer["model"]["vocab"].items()}
    tokenizer["model"]["vocab"] = vocab
    for token in tokenizer["added_tokens"]:
        token["id"] += FILLERS
    config = json.loads((ROOT / TOKENIZER / "tokenizer_config.json").read_text())
    del config["added_tokens_decoder"]
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def read(folder: pathlib.Path) -> dict:
    """Equal by the rule of Open Instruct's docs: parts as they are, boundaries unpacked, statistics but for time and folder."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".npy":
            found[path.name] = digest(path.read_bytes())
        if path.name.endswith(".csv.gz"):
            found[path.name] = digest(gzip.decompress(path.read_bytes()))
        if path.name == "dataset_statistics.json":
            lines = path.read_text().split("\n")
            found[path.name] = digest("\n".join(line for line in lines if not varies(line)).encode())
    return found


def varies(line: str) -> bool:
    return line.startswith(('  "timestamp"', '  "output_directory"'))


def write_conversations(out: pathlib.Path) -> None:
    """Of one seed each, so that they never change; one also in columns, where every message has every key."""
    for name, seed, count in (("conversations", 1, 240), ("joined", 2, 120)):
        r = random.Random(seed)
        with open(out / f"{name}.jsonl", "w", encoding="utf-8") as file:
            for _ in range(count):
                messages = conversation(r)
                row = {"messages": messages if name == "conversations" else without_null(messages)}
                file.write(json.dumps(row, ensure_ascii=r.random() < 0.5) + "\n")
    lines = (out / NAMES[0]).read_text(encoding="utf-8").strip("\n").split("\n")
    pq.write_table(pa.Table.from_pylist([json.loads(line) for line in lines]), out / NAMES[2], row_group_size=100)


def olmo_core(modules, folder: pathlib.Path) -> list[dict]:
    found = []
    for index, case in enumerate(cases()):
        mixer = [part for source in case["data"] for part in source.split(":")]
        out = folder / str(index)
        with contextlib.redirect_stdout(io.StringIO()):
            reference.convert(
                modules,
                out,
                mixer,
                case.get("tokenizer", TOKENIZER),
                case["template"],
                case.get("add_bos", False),
                case.get("max_seq_len"),
                case.get("seed", 42),
                str(folder / "cache"),
            )
        found.append(case | {"files": read(out)})
    return found


def exact(modules) -> list[dict]:
    """What `--labels exact` is held to, of every template and of two lengths."""
    transformation, _ = modules
    found = []
    for name in TEMPLATES:
        data, add_bos = "conversations" if name in OLMO else "joined", "olmo" not in name
        lines = pathlib.Path(f"{data}.jsonl").read_text(encoding="utf-8").strip("\n").split("\n")
        config = transformation.TokenizerConfig(
            tokenizer_name_or_path=TOKENIZER, chat_template_name=name, add_bos=add_bos
        )
        # Some of reinforcement learning's begin with long texts.
        for length in (None, 900 if name in REASONING else 60):
            case = {"template": name, "data": [f"{data}.jsonl:1.0"], "add_bos": add_bos}
            case |= {"max_seq_len": length} if length else {}
            conversations = [json.loads(line)["messages"] for line in lines]
            made = finetune_exact.files(config.tokenizer, conversations, length, 42)
            unpacked = {file: gzip.decompress(part) if file.endswith(".gz") else part for file, part in made.items()}
            found.append(case | {"files": {file: digest(part) for file, part in unpacked.items()}})
    return found


def olmo(checkout: str) -> list[dict]:
    """Recipe 1, with ids in 16 bits as its program writes them: this vocabulary fits."""
    tokenizer = json.loads((ROOT / TOKENIZER / "tokenizer.json").read_text())
    ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    # Not splitlines, which takes other characters for ends of lines too.
    lines = pathlib.Path("joined.jsonl").read_text(encoding="utf-8").strip("\n").split("\n")
    conversations = [json.loads(line)["messages"] for line in lines]
    found = []
    for length in (16, 40, 100, 2048):
        rows = list(
            reference.tulu_rows(
                checkout,
                conversations,
                str(ROOT / TOKENIZER / "tokenizer.json"),
                ids["<|endoftext|>"],
                ids["<|pad|>"],
                length,
            )
        )
        files = {
            "input_ids.npy": digest(np.array([row for row, _ in rows], dtype=np.uint16).tobytes()),
            "label_mask.npy": digest(np.array([mask for _, mask in rows], dtype=np.bool_).tobytes()),
        }
        found.append({"max_seq_len": length, "rows": len(rows), "files": files})
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--open-instruct", required=True)
    parser.add_argument("--olmo", required=True)
    parser.add_argument("--out", type=pathlib.Path, default=GOLDEN)
    given = parser.parse_args()
    out = given.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    write_conversations(out)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        os.environ["HF_HOME"] = os.environ["HF_DATASETS_CACHE"] = str(folder / "hub")
        # Names stand in the statistics: those of the data are relative to this folder, and so is the tokenizer's.
        for name in NAMES:
            (folder / name).write_bytes((out / name).read_bytes())
        (folder / "models").mkdir()
        (folder / TOKENIZER).symlink_to(ROOT / TOKENIZER)
        widened(folder / WIDE)
        os.chdir(folder)
        logging.disable(logging.WARNING)  # it names every conversation that it drops
        modules = reference.open_instruct(given.open_instruct)
        golden = {"tokenizer": TOKENIZER, "fillers": FILLERS, "olmo_core": olmo_core(modules, folder)}
        golden |= {"exact": exact(modules), "olmo": olmo(given.olmo)}
    (out / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
