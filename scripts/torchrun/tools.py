"""What the proof asks of torch and transformers.

    tools.py logits FOLDER IDS     a model's logits of token ids, in f32, to standard output
    tools.py pt FOLDER             a model.pt beside a model.safetensors of OLMo's
"""

import base64
import json
import pickle
import sys

import torch


def logits(folder, ids):
    from transformers import Olmo2ForCausalLM

    torch.set_num_threads(1)
    model = Olmo2ForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        rows = model(torch.tensor([json.loads(ids)])).logits[0]
    sys.stdout.buffer.write(rows.contiguous().numpy().tobytes())


def pt(folder):
    from safetensors.torch import load_file

    tensors = load_file(f"{folder}/model.safetensors")
    # OLMo's names in such files: base64 of a pickled tuple.
    names = {name: pickle.loads(base64.urlsafe_b64decode(name))[0][0] for name in tensors}
    torch.save({names[name]: value for name, value in tensors.items()}, f"{folder}/model.pt")


if __name__ == "__main__":
    {"logits": logits, "pt": pt}[sys.argv[1]](*sys.argv[2:])
