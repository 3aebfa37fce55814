"""Make the tiny tokenizer and the four tiny OLMo 2 checkpoints.

The weights are random but large, and the norm weights are away from one, so
that a missing or misplaced operation moves the logits by far more than any
rounding could.
"""

import json
import shutil

from common import CONTEXT, HERE, out_dir, quiet_torch, write_json

torch = quiet_torch()

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402
from transformers import GenerationConfig, Olmo2Config, Olmo2ForCausalLM  # noqa: E402

VOCAB = 517

# dolma2's added tokens, in its order; True marks those that decoding may skip.
ADDED = (
    [("<|extra_id_0|>", False), ("<|endoftext|>", True)]
    + [(f"<|fim_{part}|>", True) for part in ("prefix", "middle", "suffix")]
    + [(f"|||{kind}|||", False) for kind in ("PHONE_NUMBER", "EMAIL_ADDRESS", "IP_ADDRESS")]
    + [("<|im_start|>", True), ("<|im_end|>", True)]
    + [(f"<|extra_id_{i}|>", False) for i in range(1, 11)]
    + [("<|endofprompt|>", True), ("<|pad|>", True)]
)
EOS = VOCAB - len(ADDED) + 1
PAD = VOCAB - 1

# dolma2 splits words the way GPT-4 does.
SPLIT = "|".join(
    [
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)

# Renders as the template of OLMo-2-1124-7B-Instruct does: system and user
# turns end with a newline, assistant turns with the end-of-text token, and the
# newline after an assistant turn is left out when that turn is the last.
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] in ['system', 'user'] %}"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] + '\\n' }}"
    "{% elif message['role'] == 'assistant' %}"
    "{{ '<|assistant|>\\n' + message['content'] + eos_token }}"
    "{% if not loop.last %}{{ '\\n' }}{% endif %}"
    "{% endif %}"
    "{% if loop.last and add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
    "{% endfor %}"
)


def make_tokenizer(folder):
    """Byte-level BPE learnt from corpus.txt, in dolma2's arrangement."""
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB - len(ADDED),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tok.train_from_iterator([(HERE / "corpus.txt").read_text("utf-8")], trainer)

    # As in dolma2 the added tokens come last, and stand in the vocabulary too.
    data = json.loads(tok.to_str())
    vocab = data["model"]["vocab"]
    assert len(vocab) == VOCAB - len(ADDED), len(vocab)
    for content, special in ADDED:
        vocab[content] = len(vocab)
        data["added_tokens"].append(
            {
                "id": vocab[content],
                "content": content,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": special,
            }
        )
    assert vocab["<|endoftext|>"] == EOS and vocab["<|pad|>"] == PAD
    Tokenizer.from_str(json.dumps(data)).save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {
            "add_prefix_space": False,
            "added_tokens_decoder": {
                str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in data["added_tokens"]
            },
            "bos_token": "<|endoftext|>",
            "chat_template": CHAT_TEMPLATE,
            "clean_up_tokenization_spaces": False,
            "eos_token": "<|endoftext|>",
            "extra_special_tokens": {},
            "model_max_length": CONTEXT,
            "pad_token": "<|pad|>",
            "tokenizer_class": "GPT2Tokenizer",
            "unk_token": "<|endoftext|>",
        },
    )


def make_model(config, seed, dtype=torch.float32):
    model = Olmo2ForCausalLM(config)
    gen = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        # Sorted, so that the order of the modules does not matter.
        for name, param in sorted(model.named_parameters()):
            noise = torch.randn(param.shape, generator=gen)
            param.copy_(1 + 0.3 * noise if "norm" in name else scale(name, config) * noise)
    return model.to(dtype)


def scale(name, config):
    """Tied embeddings are smaller, or each token would only predict itself."""
    if "embed" not in name:
        return 0.35
    return 0.15 if config.tie_word_embeddings else 0.5


def published_config(folder, config, dtype, **changes):
    """Write config.json the way transformers 4 did for the released models."""
    kept = {
        "architectures": ["Olmo2ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "eos_token_id": EOS,
        "hidden_act": "silu",
        "hidden_size": config.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "model_type": "olmo2",
        "num_attention_heads": config.num_attention_heads,
        "num_hidden_layers": config.num_hidden_layers,
        "num_key_value_heads": config.num_key_value_heads,
        "pad_token_id": PAD,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_scaling": None,
        "rope_theta": int(config.rope_parameters["rope_theta"]),
        "tie_word_embeddings": config.tie_word_embeddings,
        "torch_dtype": dtype,
        "transformers_version": "4.47.0",
        "use_cache": True,
        "vocab_size": config.vocab_size,
    }
    kept.update(changes)
    kept = {k: v for k, v in kept.items() if v != "absent"}
    write_json(folder / "config.json", kept)


def config(theta=500000.0, eps=1e-6, **sizes):
    return Olmo2Config(
        vocab_size=VOCAB,
        max_position_embeddings=CONTEXT,
        rms_norm_eps=eps,
        rope_parameters={"rope_type": "default", "rope_theta": theta},
        eos_token_id=EOS,
        pad_token_id=PAD,
        **sizes,
    )


def main():
    out = out_dir(__doc__)

    def fresh(name):
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def save(name, cfg, seed, dtype=torch.float32, eos=EOS, **kwargs):
        folder = fresh(name)
        model = make_model(cfg, seed, dtype)
        model.generation_config = GenerationConfig(eos_token_id=eos, pad_token_id=PAD)
        model.save_pretrained(folder, **kwargs)
        return folder

    mha = config(hidden_size=64, intermediate_size=176, num_hidden_layers=2, num_attention_heads=4)
    folder = save("tiny-mha-f32", mha, seed=7)
    published_config(folder, mha, "float32")
    make_tokenizer(folder)

    gqa = config(
        hidden_size=64,
        intermediate_size=176,
        num_hidden_layers=3,
        num_attention_heads=8,
        num_key_value_heads=2,
    )
    save("tiny-gqa-bf16", gqa, seed=7, dtype=torch.bfloat16)

    # Sizes that are no powers of two, and a theta and an epsilon of its own; at
    # the usual 1e-6 a wrong epsilon would hide in the rounding.
    odd = config(
        theta=10000.0,
        eps=1e-3,
        hidden_size=96,
        intermediate_size=200,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=3,
        tie_word_embeddings=True,
    )
    save("tiny-odd-f32", odd, seed=1)

    # Here num_key_value_heads is left to its default, and there are two eos ids.
    small = config(hidden_size=32, intermediate_size=88, num_hidden_layers=2, num_attention_heads=4)
    folder = save("tiny-sharded-f32", small, seed=3, eos=[EOS, EOS + 8], max_shard_size="80KB")
    published_config(folder, small, "float32", num_key_value_heads="absent")
    assert len(list(folder.glob("model-*.safetensors"))) >= 3


if __name__ == "__main__":
    main()
