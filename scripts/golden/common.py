"""What every make_*.py shares: where things are, and one way to write JSON."""

import argparse
import json
import os
from pathlib import Path

# No model hub is ever wanted here; this also keeps transformers quiet.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

HERE = Path(__file__).resolve().parent
GOLDEN = HERE.parents[1] / "crates" / "olmo-core" / "tests" / "golden"

MODELS = ["tiny-mha-f32", "tiny-gqa-bf16", "tiny-odd-f32", "tiny-sharded-f32"]
CONTEXT = 128


def out_dir(doc):
    """The folder to write to: the committed one, or check.py's temporary one."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--out", type=Path, default=GOLDEN)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    return out


def quiet_torch():
    """One thread and no fused kernels, so that sums run in one fixed order."""
    import torch
    import transformers

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return torch


def load_model(folder, dtype):
    from transformers import Olmo2ForCausalLM

    model = Olmo2ForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager")
    return model.eval()


def load_tokenizer(folder):
    """The tokenizer exactly as tokenizer.json says.

    AutoTokenizer is avoided, so that the class named in tokenizer_config.json
    (GPT2Tokenizer) has no say in the pre-tokenizer.
    """
    from transformers import PreTrainedTokenizerFast

    config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    return PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        bos_token=config["bos_token"],
        eos_token=config["eos_token"],
        unk_token=config["unk_token"],
        pad_token=config["pad_token"],
        chat_template=config["chat_template"],
        clean_up_tokenization_spaces=False,
    )


def versions():
    import tokenizers
    import torch
    import transformers

    return {
        "torch": torch.__version__.split("+")[0],
        "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__,
    }


def write_json(path, value):
    """ASCII only, so that invisible characters can be seen in a diff.

    A list of plain values stays on one line; everything else is indented.
    """
    path.write_text(_render(value, 0) + "\n", "ascii")


def _render(value, depth):
    pad = "\n" + " " * (depth + 1)
    if isinstance(value, dict) and value:
        items = [json.dumps(k) + ": " + _render(v, depth + 1) for k, v in value.items()]
        return "{" + pad + ("," + pad).join(items) + "\n" + " " * depth + "}"
    if isinstance(value, list) and any(isinstance(v, dict) for v in value):
        items = [_render(v, depth + 1) for v in value]
        return "[" + pad + ("," + pad).join(items) + "\n" + " " * depth + "]"
    return json.dumps(value, allow_nan=False)
