"""Tasks scored by olmo.eval.downstream of PyPI's ai2-olmo 0.6.0 under transformers, and by this engine, in turn.

    python scripts/bench/eval.py make tiny DIR          a random model with dolma2's vocabulary; or 1b: OLMo 2 1B's shape
    npm run build
    python scripts/bench/eval.py run DIR --data FOLDER --tasks arc_easy,mmlu_stem_mc_5shot --documents 100

FOLDER is what `olmo2 eval fetch` prints. Needs what scripts/golden/eval_labels.py needs. Theirs is timed from its
batches to its metric, without the making of its requests; ours from the data to the table, with it. The likeliest
choices have to be the same but for near ties.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "golden"))

import torch  # noqa: E402
from eval_labels import DOLMA2, MODULES, Dolma2, build  # noqa: E402
from transformers import Olmo2Config, Olmo2ForCausalLM  # noqa: E402

SHAPES = {
    "tiny": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4},
    "1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 16},
}


def make(shape, folder):
    torch.manual_seed(0)
    config = Olmo2Config(
        vocab_size=100352, max_position_embeddings=4096, rope_theta=500000.0, rms_norm_eps=1e-6,
        tie_word_embeddings=False, pad_token_id=100277, eos_token_id=100257, bos_token_id=None, **SHAPES[shape],
    )
    model = Olmo2ForCausalLM(config)
    (model if shape == "tiny" else model.bfloat16()).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(DOLMA2.read_bytes())


class Theirs:
    def __init__(self, given):
        kind = getattr(torch, given.dtype)
        self.model = Olmo2ForCausalLM.from_pretrained(given.model, dtype=kind).eval()
        self.tokenizer, self.given = Dolma2(), given
        self.tasks = {label: build("ai2-olmo", label, self.tokenizer, given.documents) for label in given.tasks}

    @torch.inference_mode()
    def seconds(self, label):
        task = self.tasks[label]
        loader = torch.utils.data.DataLoader(task, self.given.batch, collate_fn=task.collate_fn)
        start = time.perf_counter()
        metric = MODULES["ai2-olmo"].ICLMetric(task.metric_type)
        for batch in loader:
            metric.update(batch, self.model(batch["input_ids"], use_cache=False).logits.float())
        return time.perf_counter() - start, metric.compute().item()


class Ours:
    """A process of its own, which is stopped while the other one is measured."""

    def __init__(self, given):
        dtype = {"float32": "f32", "bfloat16": "bf16"}[given.dtype]
        command = ["node", ROOT / "scripts/bench/eval.mjs", given.model, dtype, str(given.threads), given.data]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.given = given
        self.answer()

    def answer(self):
        found = json.loads(self.process.stdout.readline())
        os.kill(self.process.pid, signal.SIGSTOP)
        return found

    def seconds(self, label):
        os.kill(self.process.pid, signal.SIGCONT)
        self.process.stdin.write(json.dumps({"label": label, "limit": self.given.documents}) + "\n")
        self.process.stdin.flush()
        found = self.answer()
        return found["seconds"], found["value"]

    def close(self):
        os.kill(self.process.pid, signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait()


def run(given):
    torch.set_num_threads(given.threads)
    ours, theirs = Ours(given), Theirs(given)
    for label in given.tasks:
        ratios, requests = [], theirs.tasks[label].samples
        documents = len({sample["doc_id"] for sample in requests})
        for number in range(given.rounds):
            pair = [("theirs", theirs), ("ours", ours)]
            found = {name: one.seconds(label) for name, one in (pair if number % 2 == 0 else reversed(pair))}
            (their_time, their_value), (our_time, our_value) = found["theirs"], found["ours"]
            ratios.append(their_time / our_time)
            print(
                f"{label}: {documents} documents, {len(requests)} requests; theirs {their_time:.2f} s ({their_value:.4f}), "
                f"ours {our_time:.2f} s ({our_value:.4f}), ratio {ratios[-1]:.2f}", flush=True,
            )
        ratios.sort()
        print(f"{label}: ratio {ratios[len(ratios) // 2]:.2f} ({ratios[0]:.2f} … {ratios[-1]:.2f})", flush=True)
    ours.close()


def main():
    asked = argparse.ArgumentParser()
    ways = asked.add_subparsers(dest="way", required=True)
    made = ways.add_parser("make")
    made.add_argument("shape", choices=SHAPES)
    made.add_argument("folder", type=pathlib.Path)
    timed = ways.add_parser("run")
    timed.add_argument("model")
    timed.add_argument("--data", required=True)
    timed.add_argument("--tasks", type=lambda text: text.split(","), default=["arc_easy", "mmlu_stem_mc_5shot"])
    timed.add_argument("--documents", type=int, default=100)
    timed.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    timed.add_argument("--batch", type=int, default=8, help="requests at a time, theirs")
    timed.add_argument("--threads", type=int, default=2)
    timed.add_argument("--rounds", type=int, default=3)
    given = asked.parse_args()
    make(given.shape, given.folder) if given.way == "make" else run(given)


main()
