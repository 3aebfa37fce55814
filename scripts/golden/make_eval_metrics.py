"""What the harnesses' own metrics make of log-likelihoods: crates/olmo-eval/tests/golden/metrics.json.

The log-likelihoods are given, as logits over two tokens of which the continuation is the first. Some
documents have ties, and some right choices are none.
"""

import json
import math
import random
from pathlib import Path

import torch
from eval_labels import MODULES
from olmo_eval.metrics import ICLMetric as SecondMetric

OUT = Path(__file__).resolve().parents[2] / "crates/olmo-eval/tests/golden/metrics.json"
METRICS = {"ai2-olmo": MODULES["ai2-olmo"].ICLMetric, "ai2-olmo-eval": SecondMetric}
WORDS = [" yes", " no", " an elephant", " größer", " 象", " 😀 smile", " a", " B", "no blank", " çok uzun bir söz"]


def documents(seed, one, two=False):
    rng = random.Random(seed)
    found = []
    for doc_id in range(40):
        count = 1 if one else 2 if two else rng.randint(2, 5)
        texts = [rng.choice(WORDS) for _ in range(count)]
        scores = [-rng.randint(1, 2000) / 64 for _ in texts]
        if rng.random() < 0.2:
            texts, scores = [texts[0]] * count, [scores[0]] * count
        neutral = [-rng.randint(64, 2000) / 64 for _ in texts]
        found.append({
            "doc_id": doc_id, "gold": 0 if one else rng.randrange(count),
            "texts": texts, "scores": scores, "neutral": neutral,
        })
    return found


def logits(score):
    return [score, math.log1p(-math.exp(score))]


def values(harness, metric, documents):
    counted = METRICS[harness](metric)
    for document in documents:
        for cont_id, text in enumerate(document["texts"]):
            batch = {
                "doc_id": torch.tensor([document["doc_id"]]), "cont_id": torch.tensor([cont_id]),
                "continuation": torch.tensor([[0]]), "cont_len": torch.tensor([1]),
                "ctx_len": torch.tensor([1]), "dc_len": torch.tensor([1]),
                "label_id": torch.tensor([document["gold"]]),
            }
            whole = (len(text), len(text.encode()))
            inner = (len(text) - 1, len(text[1:].encode()))
            for name, (characters, count) in {"": whole if harness == "ai2-olmo-eval" else inner, "_no_leading_space": inner}.items():
                batch[f"cont_str_len{name}"] = torch.tensor([characters])
                batch[f"cont_byte_len{name}"] = torch.tensor([count])
            rows = torch.tensor([[logits(document["scores"][cont_id])]])
            neutral = torch.tensor([[logits(document["neutral"][cont_id])]])
            counted.update(batch, rows, neutral)
    found = counted.compute()
    return {name: value.item() for name, value in found.items()} if isinstance(found, dict) else {metric: found.item()}


def main():
    cases = []
    for seed, metric in enumerate(["acc", "len_norm", "pmi_dc", "f1", "ce_loss", "bpb"]):
        given = documents(seed, metric in ("ce_loss", "bpb"), metric == "f1")
        expected = {harness: values(harness, metric, given) for harness in METRICS}
        cases.append({"metric": metric, "documents": given, "expected": expected})
    OUT.write_text(json.dumps({"cases": cases}, ensure_ascii=False) + "\n", "utf-8")


main()
