"""Log-likelihoods of the first documents of every label, as transformers gives them, and what the harnesses' own metrics
make of them.

    make_eval_likelihoods.py --seed 0 1 --documents 100    writes likelihoods-SEED.bin.gz and label-metrics-SEED.tsv.gz
                                                           to crates/olmo-eval/tests/golden, or to --out
    make_eval_likelihoods.py --seed 0 --model DIR          writes the model instead, as a checkpoint folder

The model is a tiny random OLMo 2 with the whole vocabulary of dolma2, whose weights are made of numbers, so
that the tests make the same one: see `weight`. Each seed has a shape of its own, see `SHAPES`.

Of each query with its continuation, once for all labels and in the order of requests.tsv, the first file has
the sum of the continuation's log-probabilities, times 4096 and rounded. They are numbers of 32 bits, of which all
lowest bytes come first, then all second ones, and so on. The second file has a line for each label: harness, label,
and each metric of it as `name=value`.
"""

import argparse
import gzip
import hashlib
import math
import time
from array import array
from pathlib import Path

import numpy as np
import torch
from eval_labels import DOLMA2, HARNESSES, MODULES, Dolma2, build
from olmo_eval.metrics import ICLMetric as SecondMetric
from safetensors.torch import save_file
from transformers import Olmo2Config, Olmo2ForCausalLM

GOLDEN = Path(__file__).resolve().parents[2] / "crates/olmo-eval/tests/golden"
METRICS = {"ai2-olmo": MODULES["ai2-olmo"].ICLMetric, "ai2-olmo-eval": SecondMetric}
BATCH_TOKENS = 1 << 14
ROWS = 128

# The second has nothing in common with the first but the vocabulary.
SHAPES = [
    {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "rope_theta": 500000.0, "rms_norm_eps": 1e-6, "tie_word_embeddings": False,
    },
    {
        "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 3,
        "num_key_value_heads": 3, "rope_theta": 10000.0, "rms_norm_eps": 1e-5, "tie_word_embeddings": True,
    },
]


def config_of(seed):
    return Olmo2Config(
        vocab_size=100352, max_position_embeddings=4096, pad_token_id=100277, eos_token_id=100257,
        bos_token_id=None, **SHAPES[seed],
    )


def weight(name, shape, seed):
    """Numbers between -1 and 1, the 23 highest bits of SplitMix64 from a state that seed and name give, times
    a scale; of norms, around 1."""
    state = seed
    for byte in name.encode():
        state = (state * 31 + byte) & 0xFFFFFFFF
    count = int(np.prod(shape))
    z = (np.arange(1, count + 1, dtype=np.uint64) + np.uint64(state << 32)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    unit = (z >> np.uint64(40)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)
    if "norm" in name:
        return torch.from_numpy(np.float32(1) + unit * np.float32(0.25)).reshape(shape)
    return torch.from_numpy(unit * np.float32(0.5)).reshape(shape)


def weights(seed):
    with torch.device("meta"):
        made = Olmo2ForCausalLM(config_of(seed))
    state = {name: weight(name, tuple(value.shape), seed) for name, value in made.state_dict().items()}
    if SHAPES[seed]["tie_word_embeddings"]:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    return state


def model(seed):
    made = Olmo2ForCausalLM(config_of(seed))
    made.load_state_dict(weights(seed))
    return made.eval()


def write_model(seed, folder):
    """The checkpoint folder, with the tokenizer of dolma2."""
    folder.mkdir(parents=True, exist_ok=True)
    config_of(seed).save_pretrained(folder)
    state = weights(seed)
    if SHAPES[seed]["tie_word_embeddings"]:
        del state["lm_head.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "tokenizer.json").write_bytes(DOLMA2.read_bytes())


class Requests:
    """All queries, each once, with the places of the numbers that are wanted of them."""

    def __init__(self):
        self.places, self.queries, self.wanted, self.at = {}, [], [], {}

    def place(self, query, continuation):
        """The place of a request's number."""
        query, continuation = array("I", query), array("I", continuation)
        of_query = hashlib.blake2b(query.tobytes(), digest_size=16).digest()
        key = of_query + hashlib.blake2b(continuation.tobytes(), digest_size=16).digest()
        if key not in self.places:
            self.places[key] = len(self.places)
            if of_query not in self.at:
                self.at[of_query] = len(self.queries)
                self.queries.append(query)
                self.wanted.append([])
            self.wanted[self.at[of_query]].append((continuation, self.places[key]))
        return self.places[key]

    def __len__(self):
        return len(self.places)


def samples_of(harness, label, tokenizer, documents):
    """What a metric needs of each request of a label, and the queries and continuations that it scores."""
    built = build(harness, label, tokenizer, documents)
    kept = []
    for sample in built.samples:
        choices = [[choice] for choice in sample["choices"]] if "choices" in sample else [sample["continuation"]]
        few = {
            name: value for name, value in sample.items()
            if name in ("doc_id", "cont_id", "label_id", "ctx_len", "choices") or name.startswith(("cont_str", "cont_byte"))
        }
        few["query_tokens"] = len(sample["query"])
        kept.append((few, sample["query"], choices))
    return built.metric_type, kept


def gather(documents, wanted=None):
    """The requests of all labels, or of the wanted pairs of harness and label; and the samples of each."""
    tokenizer, requests, labels = Dolma2(), Requests(), []
    for harness, table in HARNESSES.items():
        for label in table:
            if wanted is None or (harness, label) in wanted:
                metric, samples = samples_of(harness, label, tokenizer, documents)
                found = [(few, [requests.place(query, c) for c in choices]) for few, query, choices in samples]
                labels.append((harness, label, metric, found))
        print(harness, len(requests.queries), len(requests), flush=True)
    return requests, labels


def batches(queries):
    batch = []
    for index in sorted(range(len(queries)), key=lambda index: len(queries[index])):
        length = len(queries[index])
        if batch and (len(batch) + 1) * length > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(index)
    yield batch


@torch.inference_mode()
def score(made, requests):
    """The log-likelihood of each request: all hidden states, and logits of the rows that count."""
    queries, found = requests.queries, np.zeros(len(requests))
    tokens, done, told = sum(map(len, queries)), 0, time.monotonic()
    pad = made.config.pad_token_id
    for batch in batches(queries):
        ids = np.full((len(batch), max(len(queries[index]) for index in batch)), pad, dtype=np.int64)
        for row, index in enumerate(batch):
            ids[row, : len(queries[index])] = queries[index]
        hidden = made.model(torch.from_numpy(ids), use_cache=False).last_hidden_state
        wanted = [
            (row, len(queries[index]) - len(continuation) + at, token, place)
            for row, index in enumerate(batch)
            for continuation, place in requests.wanted[index]
            for at, token in enumerate(continuation)
        ]
        for start in range(0, len(wanted), ROWS):
            part = wanted[start : start + ROWS]
            logits = made.lm_head(hidden[[w[0] for w in part], [w[1] for w in part]])
            chosen = logits[range(len(part)), [w[2] for w in part]].double()
            values = (chosen - torch.logsumexp(logits, dim=-1).double()).tolist()
            for value, w in zip(values, part):
                found[w[3]] += value
        done += sum(len(queries[index]) for index in batch)
        if time.monotonic() - told > 20:
            told = time.monotonic()
            print(f"{done / tokens:.1%} of {tokens} tokens", flush=True)
    return found


def two(score):
    """Logits over two tokens, of which the first has this log-probability."""
    return [score, math.log1p(-math.exp(score))]


def measured(harness, metric, samples, found):
    """What a harness's own metric makes of the log-likelihoods: as logits over two tokens, of which the continuation
    is the first."""
    counted = METRICS[harness](metric)
    for few, places in samples:
        names = [name for name in few if name.startswith("cont_")]
        batch = {name: torch.tensor([few[name]]) for name in (*names, "doc_id", "label_id")}
        for name in ("cont_len", "ctx_len", "dc_len"):
            batch[name] = torch.tensor([1])
        for choice, place in enumerate(places):
            # The fast sets have one request for all choices; by the harness's code, so does each of these.
            batch["cont_id"] = torch.tensor([choice if "choices" in few else few["cont_id"]])
            batch["continuation"] = torch.tensor([[0]])
            counted.update(batch, torch.tensor([[two(found[place])]]))
    value = counted.compute()
    return {name: value.item() for name, value in value.items()} if isinstance(value, dict) else {metric: value.item()}


def write(out, seed, requests, labels):
    found = score(model(seed), requests)
    numbers = np.round(found * 4096).astype("<i4")
    planes = numbers.view(np.uint8).reshape(-1, 4).T.tobytes()
    (out / f"likelihoods-{seed}.bin.gz").write_bytes(gzip.compress(planes, 9, mtime=0))
    lines = []
    for harness, label, metric, samples in labels:
        values = sorted(measured(harness, metric, samples, found).items())
        lines.append("\t".join([harness, label, *(f"{name}={value:.6f}" for name, value in values)]))
    text = "".join(f"{line}\n" for line in lines)
    (out / f"label-metrics-{seed}.tsv.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seed", type=int, nargs="+", default=[0, 1], choices=range(len(SHAPES)))
    asked.add_argument("--documents", type=int, default=100)
    asked.add_argument("--out", type=Path, default=GOLDEN)
    asked.add_argument("--model", type=Path)
    given = asked.parse_args()
    if given.model:
        return write_model(given.seed[0], given.model)
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    requests, labels = gather(given.documents)
    for seed in given.seed:
        write(given.out, seed, requests, labels)


if __name__ == "__main__":
    main()
