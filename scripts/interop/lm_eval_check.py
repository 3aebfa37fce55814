"""Holds `lm_eval`'s view of a model behind `olmo2 serve` against what the library itself says.

The harness asks the server as `local-completions`, over its own task of a few documents: each choice has to have the
log-likelihood, and be as greedy, as `score` says, and greedy texts have to be those of `generate`.

    npm run build
    python -m venv .venv && .venv/bin/pip install -r scripts/interop/lm_eval_requirements.txt
    .venv/bin/python scripts/interop/lm_eval_check.py
"""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OPENAI_API_KEY"] = "none"

from lm_eval.api.instance import Instance  # noqa: E402
from lm_eval.api.task import ConfigurableTask  # noqa: E402
from lm_eval.evaluator import simple_evaluate  # noqa: E402
from lm_eval.models.openai_completions import LocalCompletionsAPI  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ROOT / "scripts/interop/lm_eval_documents.jsonl"
TOKENIZER = ROOT / "models/olmo2-5m"
NODE = "node"
MAX_NEW_TOKENS = 12
# Sums of the same numbers in another order.
TOLERANCE = 1e-5


def main():
    documents = [json.loads(line) for line in DOCUMENTS.read_text(encoding="utf-8").splitlines()]
    server = subprocess.Popen(
        [NODE, ROOT / "dist/cli/main.js", "serve", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        address = server.stdout.readline().removeprefix("listening on ").strip()
        found, texts = ask(address, documents)
    finally:
        server.terminate()
    if server.wait() != 0:
        sys.exit("the server did not end well")
    compare(documents, found, texts, library(documents))


def ask(address, documents):
    """The harness's results: of the task's choices in order, and of its prompts."""
    model = LocalCompletionsAPI(
        base_url=f"{address}/v1/completions",
        model="olmo2-5m",
        tokenizer=str(TOKENIZER),
        tokenizer_backend="huggingface",
        batch_size=4,
        max_length=512,
    )
    task = ConfigurableTask(
        config={
            "task": "few",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(DOCUMENTS)}},
            "test_split": "test",
            "output_type": "multiple_choice",
            "doc_to_text": "{{context}}",
            "doc_to_choice": "{{choices}}",
            "doc_to_target": "answer",
            # The choices bring their own space.
            "target_delimiter": "",
            "metric_list": [{"metric": "acc"}],
        }
    )
    results = simple_evaluate(model=model, tasks=[task], log_samples=True, bootstrap_iters=0)
    samples = sorted(results["samples"]["few"], key=lambda sample: sample["doc_id"])
    found = [(float(score), str(greedy) == "True") for s in samples for score, greedy in s["filtered_resps"]]
    options = {"max_gen_toks": MAX_NEW_TOKENS, "until": []}
    requests = [
        Instance("generate_until", document, (document["context"], dict(options)), index)
        for index, document in enumerate(documents)
    ]
    print("accuracy", results["results"]["few"]["acc,none"])
    return found, model.generate_until(requests)


def library(documents):
    """What the library says of the same."""
    pairs = [[one["context"], choice] for one in documents for choice in one["choices"]]
    prompts = [one["context"] for one in documents]
    request = {"pairs": pairs, "prompts": prompts, "maxNewTokens": MAX_NEW_TOKENS}
    score = [NODE, ROOT / "scripts/interop/score.mjs"]
    done = subprocess.run(score, input=json.dumps(request), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def compare(documents, found, texts, expected):
    pairs = [(one["context"], choice) for one in documents for choice in one["choices"]]
    if len(found) != len(pairs):
        sys.exit(f"{len(found)} results of {len(pairs)}")
    largest = 0.0
    for pair, (score, greedy), (own, own_greedy) in zip(pairs, found, expected["scores"], strict=True):
        largest = max(largest, abs(score - own))
        if not math.isclose(score, own, abs_tol=TOLERANCE) or greedy != own_greedy:
            sys.exit(f"{pair}: lm_eval has {score}, {greedy}; the library {own}, {own_greedy}")
    for prompt, text, own in zip(documents, texts, expected["texts"], strict=True):
        if text != own:
            sys.exit(f"{prompt['context']!r}: lm_eval has {text!r}; the library {own!r}")
    print(f"{len(pairs)} log-likelihoods within {largest:.1e}, {len(texts)} texts the same")


if __name__ == "__main__":
    main()
