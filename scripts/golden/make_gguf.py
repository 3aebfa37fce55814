"""GGUF files of a tiny model, as llama.cpp's converter writes them.

The converter itself is no package. What it does for OLMo 2 is little, and all of it that is not plain
bookkeeping comes from the package gguf, which is made from the same repository: the names of tensors,
the formats, the guesses at a model's name, the special tokens. `metadata` follows the order of its calls.
"""

import json

from common import load_tokenizer, out_dir, quiet_torch

torch = quiet_torch()

import gguf  # noqa: E402
import numpy as np  # noqa: E402
from gguf import GGMLQuantizationType as Type  # noqa: E402
from gguf import LlamaFileType as FileType  # noqa: E402
from make_forward import prompt  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import Olmo2Config, Olmo2ForCausalLM  # noqa: E402

# dolma2's pre-tokenizer. The converter tells it by a hash of the ids of one text, which dolma2 shares with
# dbrx, and which no tiny tokenizer can have; check_dolma2.py proves the hash.
PRE = "dbrx"

TYPES = {
    "f32": (Type.F32, FileType.ALL_F32),
    "f16": (Type.F16, FileType.MOSTLY_F16),
    "bf16": (Type.BF16, FileType.MOSTLY_BF16),
    "q8_0": (Type.Q8_0, FileType.MOSTLY_Q8_0),
    "q4_0": (Type.Q4_0, FileType.MOSTLY_Q4_0),
}


def metadata(writer, folder, config, file_type):
    params, shared, expert, experts = writer.get_total_parameter_count()
    meta = gguf.Metadata.load(None, folder, None, params)
    meta.size_label = meta.size_label or gguf.size_label(params, shared, expert, experts)
    writer.add_type(gguf.GGUFType.MODEL)
    meta.set_gguf_meta_model(writer)

    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_file_type(file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def vocabulary(writer, folder, vocab_size):
    tokenizer = load_tokenizer(folder)
    added = tokenizer.added_tokens_decoder
    tokens, types = [], []
    for i in range(vocab_size):
        token = tokenizer.convert_ids_to_tokens(i)
        if token is None:
            token, kind = f"[PAD{i}]", gguf.TokenType.UNUSED
        elif i not in added:
            kind = gguf.TokenType.NORMAL
        elif added[i].special or (token.startswith("<|") and token.endswith("|>")):
            kind = gguf.TokenType.CONTROL
        else:
            kind = gguf.TokenType.USER_DEFINED
        tokens.append(token)
        types.append(kind)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    gguf.SpecialVocab(folder, load_merges=True, n_vocab=vocab_size).add_to_gguf(writer, quiet=True)


def quantized(name, values, wanted):
    """The values as stored, and the type they are stored in."""
    if values.ndim == 1 or name.endswith("_norm.weight"):
        wanted = Type.F32
    try:
        return gguf.quants.quantize(values, wanted), wanted
    except gguf.QuantError:  # rows that are not whole blocks
        return gguf.quants.quantize(values, Type.F16), Type.F16


def write(path, folder, name):
    """Writes the file, and returns the weights that it stands for."""
    wanted, file_type = TYPES[name]
    config = Olmo2Config.from_pretrained(folder)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.OLMO2, config.num_hidden_layers)
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[gguf.MODEL_ARCH.OLMO2])
    weights = {}
    for key, tensor in load_file(folder / "model.safetensors").items():
        own = names.get_name(key, try_suffixes=(".weight", ".bias"))
        data, stored = quantized(own, tensor.float().numpy(), wanted)
        writer.add_tensor(own, data, raw_dtype=stored)
        weights[key] = torch.from_numpy(gguf.quants.dequantize(data, stored).astype(np.float32))
    metadata(writer, folder, config, file_type)
    vocabulary(writer, folder, config.vocab_size)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


def logits(folder, weights, ids):
    model = Olmo2ForCausalLM(Olmo2Config.from_pretrained(folder, attn_implementation="eager"))
    model.load_state_dict(weights)
    with torch.no_grad():
        return model.eval()(ids[None]).logits[0]


def blocks(path):
    """Random blocks of the formats that no tiny model here is in, with their values.

    Two halves of each block are numbers of ten bits or so instead of noise, lest they be NaN.
    """
    rng = np.random.default_rng(15)
    writer = gguf.GGUFWriter(path, "blocks")
    writer.add_description("Random blocks, and what gguf.quants makes of them")
    halves = {Type.Q4_K: (0, 2), Type.Q5_K: (0, 2), Type.Q6_K: (208,), Type.Q5_0: (0,)}
    for stored, places in halves.items():
        _, size = gguf.GGML_QUANT_SIZES[stored]
        data = rng.integers(0, 256, (3, 2, size), dtype=np.uint8)
        for at in places:
            scale = rng.uniform(-0.01, 0.01, (3, 2)).astype(np.float16)
            data[:, :, at : at + 2] = scale[..., None].view(np.uint8)
        data = data.reshape(3, 2 * size)
        writer.add_tensor(stored.name, data, raw_dtype=stored)
        writer.add_tensor(f"{stored.name}.values", gguf.quants.dequantize(data, stored))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    out = out_dir(__doc__)
    folder = out / "tiny-mha-f32"
    target = out / "gguf"
    target.mkdir(exist_ok=True)
    ids = prompt(33)
    reference = {"ids": ids}
    for name in TYPES:
        weights = write(target / f"tiny-mha-{name}.gguf", folder, name)
        reference[f"{name}.logits"] = logits(folder, weights, ids).contiguous()
    save_file(reference, target / "reference.safetensors")
    blocks(target / "blocks.gguf")


if __name__ == "__main__":
    main()
