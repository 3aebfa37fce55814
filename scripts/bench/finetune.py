"""Open Instruct's conversion and ours in turn, on the same conversations: rows a second.

    .venv/bin/python scripts/bench/finetune.py --open-instruct DIR --tokenizer DIR --rows 20000

DIR is a checkout of allenai/open-instruct, and a tokenizer's folder with olmo in its path. Both use all cores: their
datasets map in as many processes. Theirs is timed without its imports, and without its count of tokens for a cache.
Ours is `cargo run --release -p olmo-finetune --example finetune_prepare`, timed from its start to its end.
"""

import argparse
import contextlib
import io
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "golden"))
os.environ["BEAKER_ASSIGNED_CPU_COUNT"] = str(os.cpu_count())

import finetune_reference as reference  # noqa: E402

WORDS = (ROOT / "scripts" / "golden" / "corpus.txt").read_text(encoding="utf-8").split()


def conversation(r: random.Random) -> dict:
    """Turns of some hundred words, as people's are."""

    def said(longest: int) -> str:
        return " ".join(r.choice(WORDS) for _ in range(r.randint(5, longest)))

    roles = ["user", "assistant"] * r.choice([1, 1, 1, 2, 3])
    return {"messages": [{"role": role, "content": said(60 if role == "user" else 300)} for role in roles]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--open-instruct", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    modules = reference.open_instruct(given.open_instruct)
    modules[0].multiprocessing.cpu_count = os.cpu_count
    program = ROOT / "target" / "release" / "examples" / "finetune_prepare"
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        os.environ["HF_DATASETS_CACHE"] = str(folder / "cache")
        for number in range(given.rounds):
            # Of its own in each round: their library keeps what it has made of a file.
            data = folder / f"data{number}.jsonl"
            r = random.Random(number)
            data.write_text("".join(json.dumps(conversation(r)) + "\n" for _ in range(given.rows)), encoding="utf-8")
            print(f"{given.rows} conversations, {data.stat().st_size / 1e6:.0f} MB")
            out = [folder / f"{whose}{number}" for whose in ("theirs", "ours")]
            start = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):
                cache = str(folder / f"cache{number}")
                reference.convert(modules, out[0], [str(data), "1.0"], given.tokenizer, "olmo", cache=cache)
            theirs = time.perf_counter() - start
            start = time.perf_counter()
            arguments = [f"out={out[1]}", f"tokenizer={given.tokenizer}", f"data={data}", "chat_template=olmo"]
            subprocess.run([program, "format=olmo-core", *arguments], check=True, capture_output=True)
            ours = time.perf_counter() - start
            for name in ("token_ids_part_0000.npy", "labels_mask_part_0000.npy"):
                assert (out[0] / name).read_bytes() == (out[1] / name).read_bytes(), name
            rates = f"theirs {given.rows / theirs:.0f} rows/s, ours {given.rows / ours:.0f} rows/s"
            print(f"{rates}: {theirs / ours:.1f} times", flush=True)


if __name__ == "__main__":
    main()
