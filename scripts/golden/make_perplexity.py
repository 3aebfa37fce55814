"""Perplexities as llama.cpp counts them, a reference file as it writes it, and KL divergences."""

import struct

import numpy as np

from common import HERE, load_model, load_tokenizer, out_dir, quiet_torch, versions, write_json

torch = quiet_torch()

MODELS = ["tiny-mha-f32", "tiny-odd-f32"]
KL_MODEL, KL_CTX, KL_WINDOWS = "tiny-mha-f32", 32, 4
# Of each weight, so that the two models differ as a model and its quantised weights do.
NOISE = 0.02
CHARACTERS = 900


def windows(tokens, ctx, stride):
    """(first token, end, first counted token), from the loops of tools/perplexity/perplexity.cpp."""
    if stride == 0:
        return [(i * ctx, (i + 1) * ctx, i * ctx + ctx // 2 + 1) for i in range(tokens // ctx)]
    n_ctx = ctx + stride // 2
    chunks = (tokens - n_ctx + stride - 1) // stride
    return [(i * stride, i * stride + n_ctx, i * stride + n_ctx - stride) for i in range(chunks)]


def log_softmax(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].double().log_softmax(-1)


def counted(model, ids, ctx, stride):
    """Log-probabilities [counted, vocab] and the counted tokens."""
    rows, tokens = [], []
    for start, end, first in windows(len(ids), ctx, stride):
        logp = log_softmax(model, ids[start:end])
        rows.append(logp[first - 1 - start : end - 1 - start])
        tokens += ids[first:end]
    return torch.cat(rows), torch.tensor(tokens)


def mean(values):
    """The mean, and its standard error as llama.cpp computes it."""
    return {"value": values.mean().item(), "error": (values.var(correction=0) / (len(values) - 1)).sqrt().item()}


def exp(m):
    value = float(np.exp(m["value"]))
    return {"value": value, "error": value * m["error"]}


def perplexity(name, model, tok, ids, ctx, stride):
    logp, tokens = counted(model, ids, ctx, stride)
    surprise = -logp.gather(-1, tokens[:, None])[:, 0]
    # Every token stands for its own bytes, so the counted ones' bytes add up to these.
    size = sum(len(token_bytes(tok, t)) for t in tokens.tolist())
    return {
        "model": name,
        "ctx": ctx,
        "stride": stride,
        "windows": len(windows(len(ids), ctx, stride)),
        "tokens": len(tokens),
        "perplexity": exp(mean(surprise)),
        "bits_per_byte": (surprise.sum() / np.log(2) / size).item(),
    }


def token_bytes(tok, token):
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    byte_of = {char: byte for byte, char in bytes_to_unicode().items()}
    text = tok.convert_ids_to_tokens(token)
    return [byte_of[c] for c in text] if all(c in byte_of for c in text) else text.encode()


def write_base(path, model, ids, ctx):
    """The file of `--kl-divergence-base`: log_softmax(…, uint16_t *) of perplexity.cpp, in f32."""
    f32 = np.float32
    chunks = windows(len(ids), ctx, 0)
    with path.open("wb") as file:
        file.write(b"_logits_" + struct.pack("<iii", ctx, 517, len(chunks)))
        file.write(struct.pack(f"<{len(chunks) * ctx}i", *ids[: len(chunks) * ctx]))
        for start, end, first in chunks:
            with torch.no_grad():
                logits = model(torch.tensor([ids[start:end]])).logits[0]
            for row in logits[first - 1 - start : end - 1 - start].numpy():
                top, low = row.max(), max(row.min(), row.max() - f32(16))
                log_sum = f32(np.log(np.exp(row - top, dtype=f32).astype(np.float64).sum()))
                scale = f32(top - low) / f32(65535)
                codes = np.where(row > low, np.rint(f32(1) / scale * (row - low)), 0).astype("<u2")
                file.write(struct.pack("<ff", scale, f32(low - top - log_sum)))
                file.write(np.append(codes, np.zeros(1, "<u2")).tobytes())


def noisy(model):
    """The model with random changes to its matrices."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight *= 1 + NOISE * torch.randn(weight.shape, generator=generator)
    return model


def read_base(path):
    """The rows [counted, vocab] of such a file, as kl_divergence() in perplexity.cpp reads them."""
    data = path.read_bytes()
    ctx, vocab, chunks = struct.unpack("<iii", data[8:20])
    rows = np.frombuffer(data[20 + 4 * ctx * chunks :], "<u2").reshape(chunks * (ctx - 1 - ctx // 2), -1)
    scale, least = np.ascontiguousarray(rows[:, :4]).view("<f4").T
    return torch.tensor(scale[:, None] * rows[:, 4 : 4 + vocab] + least[:, None]).double()


def divergence(base, model, ids, ctx):
    """log_softmax(…, kl_divergence_result &) of perplexity.cpp, without its rounding to f32."""
    p = read_base(base)
    q, tokens = counted(model, ids, ctx, 0)
    kl = torch.where(p > -16, p.exp() * (p - q), 0).sum(-1)
    surprise = [-x.gather(-1, tokens[:, None])[:, 0] for x in (q, p)]
    change = (-surprise[0]).exp() - (-surprise[1]).exp()
    ratio = mean(surprise[0] - surprise[1])
    same = (p.argmax(-1) == q.argmax(-1)).double()
    at = lambda fraction: kl.quantile(fraction).item()  # noqa: E731
    return {
        "model": KL_MODEL,
        "ctx": ctx,
        "base_perplexity": exp(mean(surprise[1])),
        "ratio": exp(ratio),
        "kl": mean(kl),
        "kl_quantiles": {
            "min": at(0.0), "median": at(0.5), "p90": at(0.9), "p95": at(0.95),
            "p99": at(0.99), "p999": at(0.999), "max": at(1.0),
        },
        "same_top": mean(same),
        "probability_change": mean(change),
        "probability_change_rms": change.square().mean().sqrt().item(),
    }  # fmt: skip


def main():
    out = out_dir(__doc__)
    tok = load_tokenizer(out / "tiny-mha-f32")
    text = (HERE / "corpus.txt").read_text("utf-8")[:CHARACTERS]
    ids = tok.encode(text)
    models = {name: load_model(out / name, torch.float32) for name in MODELS}
    cases = [
        perplexity(name, model, tok, ids, ctx, stride)
        for name, model in models.items()
        for ctx, stride in [(32, 0), (33, 0), (128, 0), (32, 16), (64, 5)]
    ]
    known, base = ids[: KL_WINDOWS * KL_CTX], out / "perplexity-base.bin"
    write_base(base, noisy(load_model(out / KL_MODEL, torch.float32)), known, KL_CTX)
    kl = {"tokens": len(known)} | divergence(base, models[KL_MODEL], known, KL_CTX)
    write_json(
        out / "perplexity.json",
        {"versions": versions(), "text": text, "ids": ids, "cases": cases, "divergence": kl},
    )
    print(len(ids), "tokens,", len(cases), "perplexities")


if __name__ == "__main__":
    main()
