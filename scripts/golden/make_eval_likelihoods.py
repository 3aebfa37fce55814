"""Log-likelihoods of the first twenty documents of every label, as transformers gives them.

    make_eval_likelihoods.py    writes crates/olmo-eval/tests/golden/likelihoods.bin.gz

The model is a tiny random OLMo 2 with the whole vocabulary of dolma2, whose weights are made of numbers, so
that the tests make the same one: see `weight`. Of each query with its continuation, once for all labels and
in the order of requests.tsv, the file has the sum of the continuation's log-probabilities, times 4096 and
rounded, as a number of 32 bits.
"""

import gzip
from pathlib import Path

import numpy as np
import torch
from eval_labels import HARNESSES, Dolma2, build
from transformers import Olmo2Config, Olmo2ForCausalLM

OUT = Path(__file__).resolve().parents[2] / "crates/olmo-eval/tests/golden/likelihoods.bin.gz"
DOCUMENTS = 20
BATCH_TOKENS = 1 << 14
ROWS = 128

CONFIG = Olmo2Config(
    vocab_size=100352, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=4096, rope_theta=500000.0, rms_norm_eps=1e-6,
    tie_word_embeddings=False, pad_token_id=100277, eos_token_id=100257, bos_token_id=None,
)


def weight(name, shape):
    """Numbers between -1 and 1, the 23 highest bits of SplitMix64 from a seed that the name gives, times a
    scale; of norms, around 1."""
    seed = 0
    for byte in name.encode():
        seed = (seed * 31 + byte) & 0xFFFFFFFF
    count = int(np.prod(shape))
    z = (np.arange(1, count + 1, dtype=np.uint64) + np.uint64(seed << 32)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    unit = (z >> np.uint64(40)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)
    if "norm" in name:
        return torch.from_numpy(np.float32(1) + unit * np.float32(0.25)).reshape(shape)
    return torch.from_numpy(unit * np.float32(0.5)).reshape(shape)


def model():
    with torch.device("meta"):
        made = Olmo2ForCausalLM(CONFIG)
    state = {name: weight(name, tuple(value.shape)) for name, value in made.state_dict().items()}
    made = Olmo2ForCausalLM(CONFIG)
    made.load_state_dict(state)
    return made.eval()


def gather():
    """Each query with its continuations and their places, and how many numbers there are."""
    tokenizer, queries, places = Dolma2(), {}, {}
    for harness, table in HARNESSES.items():
        for label in table:
            for sample in build(harness, label, tokenizer, DOCUMENTS).samples:
                query = tuple(sample["query"])
                choices = [[choice] for choice in sample.get("choices", [])] or [sample["continuation"]]
                for continuation in choices:
                    key = (query, tuple(continuation))
                    if key not in places:
                        places[key] = len(places)
                        queries.setdefault(query, []).append((continuation, places[key]))
        print(harness, len(queries), len(places), flush=True)
    return queries, len(places)


def batches(queries):
    batch, longest = [], 0
    for query in sorted(queries, key=len):
        if batch and (len(batch) + 1) * len(query) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(query)
    yield batch


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    made = model()
    queries, count = gather()
    found = np.zeros(count)
    tokens, done = sum(map(len, queries)), 0
    for batch in batches(queries):
        ids = torch.full((len(batch), max(map(len, batch))), CONFIG.pad_token_id)
        for row, query in enumerate(batch):
            ids[row, : len(query)] = torch.tensor(query)
        hidden = made.model(ids, use_cache=False).last_hidden_state
        wanted = [
            (row, len(query) - len(continuation) + at, token, place)
            for row, query in enumerate(batch)
            for continuation, place in queries[query]
            for at, token in enumerate(continuation)
        ]
        for start in range(0, len(wanted), ROWS):
            part = wanted[start : start + ROWS]
            rows = hidden[[w[0] for w in part], [w[1] for w in part]]
            logs = torch.log_softmax(made.lm_head(rows).double(), dim=-1)
            for value, w in zip(logs[range(len(part)), [w[2] for w in part]].tolist(), part):
                found[w[3]] += value
        done += sum(map(len, batch))
        print(f"{done / tokens:.1%} of {tokens} tokens", flush=True)
    numbers = np.round(found * 4096).astype("<i4")
    OUT.write_bytes(gzip.compress(numbers.tobytes(), 9, mtime=0))


main()
