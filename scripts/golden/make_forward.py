"""Run every tiny model in torch and store what comes out of each stage."""

from common import CONTEXT, MODELS, load_model, out_dir, quiet_torch

torch = quiet_torch()

from safetensors.torch import save_file  # noqa: E402
from transformers import Olmo2Config  # noqa: E402
from transformers.models.olmo2.modeling_olmo2 import Olmo2RotaryEmbedding  # noqa: E402

LENGTHS = [1, 2, 7, 33, CONTEXT]
NEW_TOKENS = 64
VOCAB = 517

# Where the best two logits are closer than this, rounding alone may change the
# greedy choice, and the continuation would prove nothing.
MARGIN = 5e-4


def prompt(n):
    gen = torch.Generator().manual_seed(1000 + n)
    return torch.randint(0, VOCAB, (n,), generator=gen)


def logits(model, ids):
    with torch.no_grad():
        return model(ids[None]).logits[0].float()


def greedy(model, ids):
    """Ids of 64 greedy steps, and how far ahead each choice was."""
    model.generation_config.eos_token_id = None
    out = model.generate(
        ids[None],
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        output_logits=True,
        return_dict_in_generate=True,
    )
    new = out.sequences[0, len(ids) :]
    assert len(new) == NEW_TOKENS
    top = torch.stack([step[0].topk(2).values for step in out.logits])
    return new, top[:, 0] - top[:, 1]


def reference(folder, name):
    model = load_model(folder, torch.float32)
    data = {}
    for n in LENGTHS:
        ids = prompt(n)
        with torch.no_grad():
            out = model(ids[None], output_hidden_states=True, output_attentions=True)
        data[f"p{n}.ids"] = ids
        data[f"p{n}.logits"] = out.logits[0]
        data[f"p{n}.hidden"] = torch.stack([h[0] for h in out.hidden_states])
        if n == 33:
            data[f"p{n}.attentions"] = torch.stack([a[0] for a in out.attentions])
        if n + NEW_TOKENS <= CONTEXT:
            new, margin = greedy(model, ids)
            print(f"{name} p{n}: {len(set(new.tolist()))} distinct ids, least margin {margin.min():.5f}")
            assert margin.min() > MARGIN, "choose another seed in make_models.py"
            data[f"p{n}.greedy"] = new
            data[f"p{n}.greedy_margin"] = margin

    # What torch itself loses in half precision, as a measure for tolerances.
    if name == "tiny-gqa-bf16":
        half = load_model(folder, torch.bfloat16)
        for n in LENGTHS:
            data[f"p{n}.logits_bf16"] = logits(half, prompt(n))
    if name == "tiny-mha-f32":
        for dtype, key in [(torch.bfloat16, "bf16"), (torch.float16, "f16")]:
            data[f"p33.logits_{key}"] = logits(load_model(folder, dtype), prompt(33))
    return data


def rope():
    """cos and sin as the released 7B model sees them, far positions included."""
    config = Olmo2Config(
        hidden_size=4096,
        num_attention_heads=32,
        max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
    )
    positions = torch.tensor([0, 1, 100, 4095])
    cos, sin = Olmo2RotaryEmbedding(config)(torch.zeros(1), positions[None])
    return {"positions": positions, "cos": cos[0], "sin": sin[0]}


def main():
    out = out_dir(__doc__)
    for name in MODELS:
        data = reference(out / name, name)
        data = {key: value.contiguous() for key, value in data.items()}
        save_file(data, out / name / "reference.safetensors")
    save_file({k: v.contiguous() for k, v in rope().items()}, out / "rope.safetensors")


if __name__ == "__main__":
    main()
