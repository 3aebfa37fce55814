"""What OLMo computes with a tiny OLMo 2 of its own, in the form in which it saves one.

Writes tests/golden/convert/olmo/{config.yaml, model.safetensors, reference.safetensors}: the model's files, and
ids with the logits that `olmo.model.OLMo` gives them.
"""

import torch
from common import out_dir
from olmo.config import ActivationType, BlockType, InitFnType, LayerNormType, ModelConfig, TrainConfig
from olmo.model import OLMo
from olmo.safetensors_util import state_dict_to_safetensors_file
from safetensors.torch import save_file

OUT = out_dir(__doc__) / "convert" / "olmo"


def config():
    return ModelConfig(
        d_model=48, n_heads=4, n_kv_heads=2, n_layers=2, mlp_hidden_size=144, vocab_size=90,
        embedding_size=96, weight_tying=False, max_sequence_length=64, rope=True, rope_theta=20000,
        rope_full_precision=True, layer_norm_type=LayerNormType.rms, layer_norm_eps=1e-6,
        layer_norm_with_affine=True, attention_layer_norm=True, attention_layer_norm_with_affine=True,
        norm_after=True, block_type=BlockType.sequential, activation_type=ActivationType.swiglu,
        include_bias=False, bias_for_layer_norm=False, eos_token_id=1, pad_token_id=0,
        init_fn=InitFnType.normal, init_std=0.02, init_device="cpu", flash_attention=False,
        attention_dropout=0.0, residual_dropout=0.0, embedding_dropout=0.0)


def main():
    torch.set_num_threads(1)
    torch.manual_seed(11)
    model = OLMo(config()).float().eval()
    with torch.no_grad():
        # Wide enough that a tensor in another's place would show.
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.uniform_(0.5, 1.5)
            else:
                parameter.normal_(0, 0.2)
    OUT.mkdir(parents=True, exist_ok=True)
    state_dict_to_safetensors_file(model.state_dict(), OUT / "model.safetensors")
    run = TrainConfig(model=config())
    run.save(OUT / "config.yaml")
    ids = torch.randint(2, 90, (1, 24))
    with torch.no_grad():
        logits = model(ids).logits[0]
    save_file({"ids": ids[0], "logits": logits.contiguous()}, OUT / "reference.safetensors")


if __name__ == "__main__":
    main()
