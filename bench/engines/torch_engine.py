"""transformers on torch under test: answers the requests of ../protocol.ts."""

import json
import os
import resource
import sys
import time

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from transformers import DynamicCache, Olmo2ForCausalLM, logging

logging.disable_progress_bar()
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def prompt(seed, count, vocab):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, vocab, (1, count), generator=generator)


class Engine:
    def load(self, path, dtype, threads, context):
        torch.set_num_threads(threads)
        start = time.perf_counter()
        self.model = Olmo2ForCausalLM.from_pretrained(path, dtype=DTYPES[dtype]).eval()
        return 1000 * (time.perf_counter() - start)

    def step(self, ids, cache):
        out = self.model(ids, past_key_values=cache, logits_to_keep=1)
        return out.logits[0, -1:].argmax(-1, keepdim=True)

    def prefill(self, tokens, round):
        ids = prompt(1 + tokens + 100_003 * round, tokens, self.model.config.vocab_size)
        start = time.perf_counter()
        self.step(ids, DynamicCache())
        return tokens / (time.perf_counter() - start)

    def decode(self, depth, tokens):
        cache = DynamicCache()
        token = self.step(prompt(0, max(depth, 1), self.model.config.vocab_size), cache)
        start = time.perf_counter()
        for _ in range(tokens):
            token = self.step(token, cache)
        return tokens / (time.perf_counter() - start)

    def peakRss(self):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


engine = Engine()
with torch.inference_mode():
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"value": getattr(engine, request.pop("do"))(**request)}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)
