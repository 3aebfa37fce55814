"""Tokens per second of optimizer steps in torch, f32 eager, beside examples/bench_train.rs.

    python scripts/bench/train_torch.py [--steps N] [--instances N] [--micro N] [--threads N]
"""

import argparse
import time

import torch
from transformers import Olmo2Config, Olmo2ForCausalLM

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=5)
parser.add_argument("--instances", type=int, default=4)
parser.add_argument("--micro", type=int, default=4)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--attention", default="sdpa")
options = parser.parse_args()
torch.set_num_threads(options.threads)
torch.manual_seed(0)

SEQUENCE = 512
model = Olmo2ForCausalLM(Olmo2Config(
    vocab_size=4096, hidden_size=256, intermediate_size=688, num_hidden_layers=5,
    num_attention_heads=4, max_position_embeddings=512, rope_theta=500000.0, rms_norm_eps=1e-6,
    pad_token_id=None, eos_token_id=None, bos_token_id=None,
    attn_implementation=options.attention)).float()
embedding = model.model.embed_tokens.weight
others = [p for p in model.parameters() if p is not embedding]
optimizer = torch.optim.AdamW(
    [dict(params=[embedding], weight_decay=0.0), dict(params=others, weight_decay=0.1)],
    lr=1e-3, betas=(0.9, 0.95), eps=1e-8)
tokens = torch.randint(0, 4096, (options.instances, SEQUENCE))
rows = options.instances * (SEQUENCE - 1)
print(sum(p.numel() for p in model.parameters()), "parameters,", torch.get_num_threads(), "threads")
rates = []
for step in range(options.steps + 1):
    start = time.perf_counter()
    optimizer.zero_grad()
    total = 0.0
    for batch in tokens.split(options.micro):
        logits = model(batch, use_cache=False).logits[:, :-1].reshape(-1, 4096)
        loss = torch.nn.functional.cross_entropy(logits, batch[:, 1:].reshape(-1), reduction="sum")
        loss = (loss + 1e-5 * logits.logsumexp(-1).pow(2).sum()) / rows
        loss.backward()
        total += loss.item()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    rate = tokens.numel() / (time.perf_counter() - start)
    print(f"loss {total:.4f}  {rate:.0f} tokens/s")
    if step > 0:
        rates.append(rate)
rates.sort()
print(f"best {rates[-1]:.0f}, median {rates[len(rates) // 2]:.0f} tokens/s")
