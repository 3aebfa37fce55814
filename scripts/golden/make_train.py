"""What torch computes when it trains tiny Olmo2ForCausalLM models.

Writes tests/golden/train/<name>/{config.json, model.safetensors, reference.safetensors}. Everything
is f32 on one thread. The loss is OLMo's: mean cross-entropy of each row's next token, plus 1e-5
times the mean of log-sum-exp squared (olmo/train.py, `cross_entropy_loss`).
"""

import gzip
import json
import math

import numpy as np
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


ROW = 64


def conversations(folder):
    """Two parts of conversations in OLMo-core's form: ids, marks of what is to be learned, and where
    each begins. Returns the documents as they are read: cut at ROW, those without a target left out."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    successors = rng.integers(2, 64, (64, 3))
    documents = []
    for part in range(2):
        ids, marks, lines = [], [], []
        for number in range(45):
            length = int(rng.integers(6, 80 if number % 9 == 0 else 40))
            text = [int(rng.integers(2, 64))]
            while len(text) < length - 1:
                text.append(int(successors[text[-1], rng.integers(0, 3)]))
            text.append(1)
            # Turns: what is asked, then what is answered and learned.
            mark, answering = [], False
            while len(mark) < length:
                mark += [answering] * int(rng.integers(2, 9))
                answering = not answering and number % 10 != 3
            mark = mark[:length]
            lines.append(f"{len(ids)},{len(ids) + length}\n")
            ids += text
            marks += mark
            if any(mark[1:ROW]):
                documents.append((text[:ROW], mark[:ROW]))
        data = folder / "data"
        np.array(ids, "<u2").tofile(data / f"token_ids_part_{part:04}.npy")
        np.array(marks, "?").tofile(data / f"labels_mask_part_{part:04}.npy")
        with open(data / f"token_ids_part_{part:04}.csv.gz", "wb") as file:
            file.write(gzip.compress("".join(lines).encode(), mtime=0))
    return documents


def packed(documents):
    """Rows of documents, the longest first, each where the least room is left that is enough."""
    rows, room, order = [], [], []
    for document in sorted(documents, key=lambda document: -len(document[0])):
        length = len(document[0])
        fitting = [index for index in range(len(rows)) if room[index] >= length]
        # Of rows with the same room the one that came to it last.
        best = min(fitting, key=lambda index: (room[index], -order[index]), default=None)
        if best is None:
            best = len(rows)
            rows.append([])
            room.append(ROW)
            order.append(0)
        rows[best].append(document)
        room[best] -= length
        order[best] = sum(len(row) for row in rows)
    return rows


def labelled_losses(model, rows, masked):
    """OLMo's losses over marked tokens only, each predicted from the token before it in its row."""
    ce = z2 = count = 0
    for row in rows:
        tokens = torch.tensor([id for text, _ in row for id in text])
        marks = torch.tensor([mark for _, marks in row for mark in marks])
        lengths = [len(text) for text, _ in row] if masked else [len(tokens)]
        logits = logits_of(model, tokens, lengths)[:-1][marks[1:]]
        ce = ce + torch.nn.functional.cross_entropy(logits, tokens[1:][marks[1:]], reduction="sum")
        z2 = z2 + logits.logsumexp(-1).pow(2).sum()
        count += int(marks[1:].sum())
    return ce / count, Z_LOSS * z2 / count


def finetune():
    """Gradients of the first rows, and twenty steps, on the labelled tokens of conversations."""
    name, steps, peak = "finetune", 20, 3e-3
    MODELS[name] = dict(vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
                        num_attention_heads=4, num_key_value_heads=2)
    model = build(name)
    save_model(model, OUT / name)
    rows = packed(conversations(OUT / name))
    tensors = {"rows": torch.tensor([id for row in rows for text, _ in row for id in text])}
    for kind, masked in (("whole", False), ("documents", True)):
        model.zero_grad()
        ce, z = labelled_losses(model, rows[:4], masked)
        (ce + z).backward()
        tensors[f"{kind}.losses"] = torch.stack([ce.detach(), z.detach()])
        tensors |= named(model, f"{kind}.gradient", lambda p: p.grad)
    optimizer = optimizer_of(model, peak)
    seen = []
    for step in range(1, steps + 1):
        rate = peak * step / 4 if step < 4 else peak * (1 - (step - 4) / (steps - 4))
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        batch = [rows[index % len(rows)] for index in range((step - 1) * 4, step * 4)]
        ce, z = labelled_losses(model, batch, True)
        (ce + z).backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        seen.append(torch.tensor([rate, ce.item(), z.item(), norm.item()]))
    tensors["steps"] = torch.stack(seen)
    save_file(tensors, OUT / name / "reference.safetensors")
    print("finetune: from", seen[0][1].item(), "to", seen[-1][1].item())


if __name__ == "__main__":
    torch.set_num_threads(1)
    for model_name in list(MODELS):
        gradients(model_name)
    curve()
    finetune()
