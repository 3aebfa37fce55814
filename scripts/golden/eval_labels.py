"""Every label of AllenAI's two harnesses as their own code builds it.

Needs the wheels ai2-olmo 0.6.0 and ai2-olmo-eval 0.9.0, which cannot be installed side by side by their own
pins: `pip install --no-deps` both, then torch, transformers, datasets, torchmetrics, scikit-learn,
importlib_resources, omegaconf, cached_path and rich.
"""

import functools
import gzip
import json
import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import datasets
import olmo.eval.downstream as first
import olmo_data
import olmo_eval
import olmo_eval.tasks as second
from tokenizers import Tokenizer

datasets.disable_progress_bars()

HARNESSES = {"ai2-olmo": first.label_to_task_map, "ai2-olmo-eval": second.LABEL_TO_TASK_MAP}
MODULES = {"ai2-olmo": first, "ai2-olmo-eval": second}
ROOTS = {"ai2-olmo": Path(olmo_data.__file__).parent, "ai2-olmo-eval": Path(olmo_eval.__file__).parent}
DOLMA2 = Path(olmo_data.__file__).parent / "tokenizers" / "allenai_dolma2.json"


class Dolma2:
    """What a harness asks of a tokenizer. A text is encoded once, however often it is asked for."""

    pad_token_id = 100277
    bos_token_id = None

    def __init__(self, file=DOLMA2):
        inner = Tokenizer.from_file(str(file))
        self._ids = functools.lru_cache(4096)(
            lambda text: inner.encode(text, add_special_tokens=False).ids
        )

    def encode(self, text, add_special_tokens=True):
        return self._ids(text)


class Counting(Dolma2):
    """For counting requests: a text's ids don't matter then, only that the fast sets have one for each."""

    def __init__(self):
        self._ids = lambda text: [0]


def task_of(harness, label):
    entry = HARNESSES[harness][label]
    return entry if isinstance(entry, tuple) else (entry, {})


@functools.lru_cache(8)
def first_requests(file, most):
    """The lines of a file up to a document; ids are in order, but for those that no label uses."""
    found = []
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            request = json.loads(line)
            if most <= request["doc_id"] < 1_000_000:
                break
            found.append(request)
    return found


def build(harness, label, tokenizer, most=None):
    """A label's data set; of its first `most` documents only, which come out as they do in the whole.

    A part of a data set that has more gives no document too few: parts follow each other.
    """
    module = MODULES[harness]
    hf, oe = module.load_hf_dataset, module.load_oe_eval_requests

    def few_rows(path, name, split):
        found = hf(path, name, split)
        return found if split == "dev" or len(found) <= most else found.select(range(most))

    def few_requests(path, name, split):
        file = ROOTS[harness] / "oe_eval_tasks" / path / (name or "") / "requests.jsonl.gz"
        return None, first_requests(file, most)

    kind, options = task_of(harness, label)
    if most is not None:
        module.load_hf_dataset, module.load_oe_eval_requests = few_rows, few_requests
    try:
        built = kind(tokenizer=tokenizer, **options)
    finally:
        module.load_hf_dataset, module.load_oe_eval_requests = hf, oe
    if most is not None:
        built.samples = [sample for sample in built.samples if sample["doc_id"] < most]
    return built


def lengths(sample):
    """Code points and bytes of a continuation without its first character."""
    if "cont_str_len_no_leading_space" in sample:
        return sample["cont_str_len_no_leading_space"], sample["cont_byte_len_no_leading_space"]
    return sample["cont_str_len"], sample["cont_byte_len"]
