"""Make everything again in a temporary folder and compare it with what is committed.

Ids, texts, weights and file names must be the same. Computed floats may
differ by what another processor's rounding can do. With --write the committed
files are made anew instead. With --open-instruct DIR --olmo DIR, checkouts of
what make_finetune.py runs, the data of fine-tuning are made anew too.
"""

import argparse
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import GOLDEN, HERE
from safetensors.numpy import load_file

# In order: the later ones read what make_models.py wrote.
PROGRAMS = [
    "models",
    "forward",
    "processors",
    "generate",
    "tokenizer",
    "chat",
    "jinja",
    "parquet",
    "gguf",
    "perplexity",
    "quant",
    "train",
    "significance",
    "embedded",
]

F32 = 1e-4  # logits of size about 10, in single precision
HALF = 0.5  # the same in bf16 or f16, where processors differ in how they add up
JSON = 1e-4  # log-probabilities, their sums, and margins
PROBABILITY = 1e-6  # in processors.json, which starts from stored logits
# AdamW divides a gradient by its own size: of one that is mere rounding any step may come.
STEPPED = 1e-3  # weights after two of its steps
CURVE = 1e-2  # losses of fifty steps, of size about 4


def make(out):
    for name in PROGRAMS:
        print(f"make_{name}.py", flush=True)
        program = [sys.executable, "-W", "ignore", str(HERE / f"make_{name}.py"), "--out", str(out)]
        subprocess.run(program, check=True)


def differences_json(a, b, limit, at=""):
    """Every place where two JSON values differ by more than rounding."""
    if isinstance(a, float) and isinstance(b, float):
        if not abs(a - b) <= limit:
            yield f"{at}: {a} and {b}"
    elif type(a) is not type(b):
        yield f"{at}: {a!r} and {b!r}"
    elif isinstance(a, dict):
        if list(a) != list(b):
            yield f"{at}: keys {list(a)} and {list(b)}"
        for key in a.keys() & b.keys():
            yield from differences_json(a[key], b[key], limit, f"{at}/{key}")
    elif isinstance(a, list):
        if len(a) != len(b):
            yield f"{at}: {len(a)} and {len(b)} entries"
        for i, (x, y) in enumerate(zip(a, b)):
            yield from differences_json(x, y, limit, f"{at}/{i}")
    elif a != b:
        yield f"{at}: {a!r} and {b!r}"


def limit_of(key):
    if key.startswith(("clipped.", "free.")):
        return STEPPED
    return CURVE if key == "steps" else HALF if key.endswith("f16") else F32


def differences_tensors(path_a, path_b):
    a, b = load_file(path_a), load_file(path_b)
    if a.keys() != b.keys():
        yield f"keys {sorted(a.keys() ^ b.keys())}"
    for key in sorted(a.keys() & b.keys()):
        x, y = a[key], b[key]
        if x.shape != y.shape or x.dtype != y.dtype:
            yield f"{key}: {x.dtype}{x.shape} and {y.dtype}{y.shape}"
        elif x.dtype.kind != "f":
            if (x != y).any():
                yield f"{key}: ids differ"
        else:
            worst = abs(x - y).max()
            if not worst <= limit_of(key):
                yield f"{key}: differs by {worst}"


def differences_base(path_a, path_b):
    """Rows hold f32 scales and 16-bit codes: rounding moves a code by a few."""
    a, b = path_a.read_bytes(), path_b.read_bytes()
    if len(a) != len(b) or a[:20] != b[:20]:
        yield "header or size differ"
        return
    ctx, vocab, chunks = struct.unpack("<iii", a[8:20])
    tokens = 20 + 4 * ctx * chunks
    if a[20:tokens] != b[20:tokens]:
        yield "ids differ"
    rows = chunks * (ctx - 1 - ctx // 2)
    x, y = (np.frombuffer(data[tokens:], "<u2").reshape(rows, -1)[:, 4:].astype(int) for data in (a, b))
    if abs(x - y).max() > 8:
        yield f"codes differ by {abs(x - y).max()}"


def differences(a, b):
    if a.read_bytes() == b.read_bytes():
        return
    if a.name in ("reference.safetensors", "rope.safetensors"):
        yield from differences_tensors(a, b)
    elif a.suffix == ".json":
        limit = PROBABILITY if a.name == "processors.json" else JSON
        yield from differences_json(*(json.loads(p.read_text("utf-8")) for p in (a, b)), limit)
    elif a.name == "perplexity-base.bin":
        yield from differences_base(a, b)
    else:
        yield "bytes differ"


FINETUNE = HERE.parents[1] / "crates" / "olmo-finetune" / "tests" / "golden"

# Made in an environment of its own: see README.md.
ELSEWHERE = {"convert"}


def files(folder):
    """Everything made by a program: all but the hand-written README, and what is made elsewhere."""
    made = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file() and p.name != "README.md")
    return {path for path in made if path.parts[0] not in ELSEWHERE}


def finetune(given, out):
    """The data of fine-tuning, which need checkouts; its differences, if it is not to be written."""
    program = [sys.executable, "-W", "ignore", str(HERE / "make_finetune.py"), "--out", str(out)]
    subprocess.run([*program, "--open-instruct", given.open_instruct, "--olmo", given.olmo], check=True)
    pairs = [(path, FINETUNE / path.name) for path in sorted(out.iterdir())]
    return [f"{path.name}: bytes differ" for path, old in pairs if path.read_bytes() != old.read_bytes()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--open-instruct")
    parser.add_argument("--olmo")
    given = parser.parse_args()
    if given.write:
        make(GOLDEN)
        if given.open_instruct and given.olmo:
            finetune(given, FINETUNE)
        return
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder)
        make(again)
        bad = [f"{path}: only on one side" for path in sorted(files(GOLDEN) ^ files(again))]
        same = 0
        for path in sorted(files(GOLDEN) & files(again)):
            same += (GOLDEN / path).read_bytes() == (again / path).read_bytes()
            bad += [f"{path}: {what}" for what in differences(GOLDEN / path, again / path)]
        if given.open_instruct and given.olmo:
            bad += finetune(given, again / "finetune")
        print("\n".join(bad[:50]))
        print(f"{len(files(GOLDEN))} files, {same} the same to the byte, {len(bad)} differences")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
