"""What torch computes when it trains tiny Olmo2ForCausalLM models.

Writes tests/golden/train/<name>/{config.json, model.safetensors, reference.safetensors}. Everything
is f32 on one thread. The loss is OLMo's: mean cross-entropy of each row's next token, plus 1e-5
times the mean of log-sum-exp squared (olmo/train.py, `cross_entropy_loss`).
"""

import json
import math

import torch
from common import out_dir
from safetensors.torch import save_file
from transformers import Olmo2Config, Olmo2ForCausalLM

OUT = out_dir(__doc__) / "train"
Z_LOSS = 1e-5

MODELS = {
    # As many key heads as query heads, sizes that are whole vectors.
    "mha": dict(vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
                num_attention_heads=4, num_key_value_heads=4),
    # Grouped key heads and sizes no vector width divides.
    "gqa-odd": dict(vocab_size=71, hidden_size=42, intermediate_size=53, num_hidden_layers=3,
                    num_attention_heads=6, num_key_value_heads=2, head_dim=14),
    # One matrix for embedding and output: its gradient comes from both ends.
    "tied": dict(vocab_size=50, hidden_size=24, intermediate_size=40, num_hidden_layers=2,
                 num_attention_heads=3, num_key_value_heads=1, tie_word_embeddings=True),
}
SEQUENCE = 70  # more than one block of the fused attention
DOCUMENTS = [[70], [13, 1, 40, 16], [35, 35]]


def build(name):
    torch.manual_seed(len(name))
    config = Olmo2Config(max_position_embeddings=128, rope_theta=10000.0, rms_norm_eps=1e-6,
                         pad_token_id=0, eos_token_id=1, bos_token_id=None,
                         attn_implementation="eager", **MODELS[name])
    model = Olmo2ForCausalLM(config).float()
    with torch.no_grad():
        # Wider than the recipe's init and norms off 1, so that no gradient hides in another.
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.uniform_(0.5, 1.5)
            else:
                parameter.normal_(0, 0.15)
    return model


def logits_of(model, tokens, documents):
    """[sequence, vocab]; each document is a text of its own."""
    parts, start = [], 0
    for length in documents:
        parts.append(model(tokens[None, start:start + length]).logits[0])
        start += length
    return torch.cat(parts)


def losses(model, batch, documents):
    """Cross-entropy and log-sum-exp squared, summed over the rows that have a next token."""
    ce = z2 = rows = 0
    for tokens, lengths in zip(batch, documents):
        logits = logits_of(model, tokens, lengths)[:-1]
        ce = ce + torch.nn.functional.cross_entropy(logits, tokens[1:], reduction="sum")
        z2 = z2 + logits.logsumexp(-1).pow(2).sum()
        rows += len(tokens) - 1
    return ce / rows, Z_LOSS * z2 / rows


def optimizer_of(model, lr):
    embedding = [model.model.embed_tokens.weight]
    others = [p for p in model.parameters() if p is not embedding[0]]
    return torch.optim.AdamW(
        [dict(params=embedding, weight_decay=0.0), dict(params=others, weight_decay=0.1)],
        lr=lr, betas=(0.9, 0.95), eps=1e-8, foreach=False)


def named(model, prefix, of):
    return {f"{prefix}.{name}": of(p).detach().clone().contiguous()
            for name, p in model.named_parameters()}


def save_model(model, folder):
    folder.mkdir(parents=True, exist_ok=True)
    config = model.config
    fields = dict(
        architectures=["Olmo2ForCausalLM"], attention_bias=False, eos_token_id=1, pad_token_id=0,
        hidden_act="silu", model_type="olmo2", torch_dtype="float32",
        rope_theta=10000.0, **{key: getattr(config, key) for key in (
            "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
            "num_attention_heads", "num_key_value_heads", "max_position_embeddings",
            "rms_norm_eps", "tie_word_embeddings")})
    if "head_dim" in MODELS.get(folder.name, {}):
        fields["head_dim"] = MODELS[folder.name]["head_dim"]
    (folder / "config.json").write_text(json.dumps(fields, indent=2) + "\n")
    save_file({n: p.detach().contiguous() for n, p in model.named_parameters()},
              folder / "model.safetensors", metadata={"format": "pt"})


def gradients(name):
    """Gradients of one batch of three instances, whole and cut into documents, and what one
    optimizer step with clipping and a second one without make of the weights."""
    model = build(name)
    folder = OUT / name
    save_model(model, folder)
    torch.manual_seed(7)
    # From 1 on: torch gives row 0 no gradient, the embedding's padding_idx, which OLMo does not have.
    batch = torch.randint(1, MODELS[name]["vocab_size"], (3, SEQUENCE))
    tensors = {"tokens": batch}
    whole = [[SEQUENCE]] * 3
    for kind, documents in (("whole", whole), ("documents", DOCUMENTS)):
        model.zero_grad()
        ce, z = losses(model, batch, documents)
        (ce + z).backward()
        tensors[f"{kind}.losses"] = torch.stack([ce.detach(), z.detach()])
        tensors |= named(model, f"{kind}.gradient", lambda p: p.grad)

    optimizer = optimizer_of(model, 1e-2)
    norms = []
    for step, limit in (("clipped", 0.25), ("free", 1e6)):
        optimizer.zero_grad()
        ce, z = losses(model, batch, whole)
        (ce + z).backward()
        if step == "free":
            tensors |= named(model, "free.gradient", lambda p: p.grad)
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), limit))
        optimizer.step()
        tensors |= named(model, step, lambda p: p)
    tensors["norms"] = torch.stack(norms)
    save_file(tensors, folder / "reference.safetensors")


def learning_rate(step, steps, warmup, peak, floor=0.1):
    """OLMo's CosWithWarmup; the first step is number 1."""
    if step < warmup:
        return peak * step / warmup
    if step >= steps:
        return peak * floor
    turn = math.pi * (step - warmup) / (steps - warmup)
    return peak * floor + peak * (1 - floor) * (1 + math.cos(turn)) / 2


def curve():
    """Fifty steps on sentences of a small grammar, in the order they are saved in."""
    torch.manual_seed(3)
    name, steps, peak = "curve", 50, 3e-3
    MODELS[name] = dict(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                        num_attention_heads=4, num_key_value_heads=2)
    model = build(name)
    with torch.no_grad():  # the recipe's own init
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.fill_(1.0)
            else:
                torch.nn.init.trunc_normal_(parameter, std=0.02, a=-0.06, b=0.06)
    save_model(model, OUT / name)
    # A walk over the vocabulary in which each token has three successors.
    successors = torch.randint(2, 64, (64, 3))
    data = torch.zeros(steps * 4, 64, dtype=torch.long)
    token = 2
    for index in range(data.numel()):
        data.view(-1)[index] = token
        token = int(successors[token, torch.randint(0, 3, ())])
    optimizer = optimizer_of(model, peak)
    rows = []
    for step in range(1, steps + 1):
        rate = learning_rate(step, steps, 10, peak)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        batch = data[(step - 1) * 4:step * 4]
        ce, z = losses(model, batch, [[64]] * 4)
        (ce + z).backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rows.append(torch.tensor([rate, ce.item(), z.item(), norm.item()]))
    save_file({"tokens": data, "steps": torch.stack(rows)}, OUT / name / "reference.safetensors")
    print("curve: from", rows[0][1].item(), "to", rows[-1][1].item())


if __name__ == "__main__":
    torch.set_num_threads(1)
    for model_name in list(MODELS):
        gradients(model_name)
    curve()
