"""Holds `olmo2 eval` against transformers and the harnesses' own metrics, on other documents or labels than the golden
data have.

    npm run build
    python scripts/interop/eval_check.py --data FOLDER --tasks arc_easy,mmlu_stem_mc_5shot --limit 30 --seed 1

FOLDER is what `olmo2 eval fetch` prints. Needs what scripts/golden/eval_labels.py needs. The model is one of
scripts/golden/make_eval_likelihoods.py, by its seed. `--tasks` may be left out: all labels, which takes long.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "golden"))

import torch  # noqa: E402
from eval_labels import HARNESSES  # noqa: E402
from make_eval_likelihoods import gather, measured, model, score, write_model  # noqa: E402

COUNTED = ("acc", "len_norm", "f1")


def ours(folder, harness, labels, given):
    """What the command says: a line for each continuation by label, document and choice; and the table."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "requests.jsonl"
        command = ["node", ROOT / "dist/cli/main.js", "eval", folder, "--harness", harness, "--data", given.data]
        command += ["--tasks", ",".join(labels), "--limit", str(given.limit), "--requests", file, "--json"]
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return {(line["label"], line["doc_id"], line["cont_id"]): line for line in lines}, json.loads(found.stdout)["tasks"]


def compare(harness, labels, found, given, folder):
    """Prints what is off, and gives the largest differences by what is allowed."""
    mine, tasks = ours(folder, harness, [label for _, label, *_ in labels], given)
    wrong, worst, seen = 0, 0.0, 0
    for _, label, metric, samples in labels:
        for few, places in samples:
            for choice, place in enumerate(places):
                line = mine[label, few["doc_id"], choice if "choices" in few else few["cont_id"]]
                seen += 1
                lengths = (line["query_tokens"], line["ctx_len"])
                if lengths != (few["query_tokens"], few["ctx_len"]):
                    wrong += 1
                    print(f"{label} {few['doc_id']}: {lengths} tokens")
                worst = max(worst, abs(line["loglikelihood"] - found[place]) / (1e-3 + 1e-5 * abs(found[place])))
        for name, value in measured(harness, metric, samples, found).items():
            off = abs(tasks[label]["metrics"][name] - value)
            if off > (1e-6 if name.startswith(COUNTED) else 1e-4):
                wrong += 1
                print(f"{label} {name}: {tasks[label]['metrics'][name]}, not {value}; is it a near tie?")
    if len(mine) != seen:
        wrong += 1
    print(f"{harness}: {len(labels)} labels, {seen} continuations; log-likelihoods at worst {worst:.3f} of what is allowed")
    return wrong + (worst > 1)


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--data", required=True)
    asked.add_argument("--tasks", type=lambda text: text.split(","))
    asked.add_argument("--limit", type=int, default=30)
    asked.add_argument("--seed", type=int, default=0)
    given = asked.parse_args()
    torch.set_num_threads(1)
    wanted = {(harness, label) for harness, table in HARNESSES.items() for label in given.tasks or table if label in table}
    requests, labels = gather(given.limit, wanted)
    found = score(model(given.seed), requests)
    with tempfile.TemporaryDirectory() as folder:
        write_model(given.seed, Path(folder))
        wrong = sum(
            compare(harness, own, found, given, folder)
            for harness in HARNESSES
            if (own := [label for label in labels if label[0] == harness])
        )
    sys.exit(1 if wrong else 0)


main()
