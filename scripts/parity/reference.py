"""Write down what transformers makes of a checkpoint, for `olmo2 parity` to hold this engine against.

    pip install torch transformers
    python reference.py MODEL reference.json [--revision NAME] [--dtype float32] [--texts FILE]

MODEL is a folder or the id of a model on the hub. FILE has a text a line, instead of those below.
The file holds, for each text, its token ids and at every position the logsumexp of the logits, the
largest of them and some others; greedy continuations with their margins; and log-likelihoods of
continuations after a prompt.
"""

import argparse
import datetime
import json
from pathlib import Path

TEXTS = [
    "The quick brown fox jumps over the lazy dog, and then it sleeps until the next morning.",
    "In 1969 two people walked on the Moon; 3.14159 is not exactly pi, and 2**10 = 1024.",
    "def add(a, b):\n    \"\"\"Adds two numbers.\"\"\"\n    return a + b\n\nprint(add(2, 3))\n",
    "Grüße aus Köln! Ça va? Добрый день. 東京は日本の首都です。 👩‍👩‍👧 ﬁn",
    "User: Where is the nearest station?\nAssistant: It is behind the market, on the left.",
    "Once upon a time there was a small house at the edge of a forest.\n\n\tIn it lived",
]

GREEDY = ["Once upon a time", "The capital of the country is", "The little dog ran to the"]

LIKELIHOODS = [
    ("The sky is", [" blue", " green", " made of wood"]),
    ("Question: What do people drink?\nAnswer:", [" water", " stones", " the sky"]),
    ("He opened the door because", [" somebody knocked.", " the sea is salt."]),
    ("A dog", [" barks", " is an animal", "\n"]),
]

LARGEST = 12
OTHERS = 4


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("--revision")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--new-tokens", type=int, default=48)
    return parser.parse_args()


def tokenizer_of(model, revision):
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    try:
        return AutoTokenizer.from_pretrained(model, **revision)
    except ValueError:
        # A folder whose tokenizer_config.json names a class with files that are not there.
        return PreTrainedTokenizerFast.from_pretrained(model, **revision)


def main():
    import torch
    import transformers
    from transformers import AutoModelForCausalLM

    given = arguments()
    revision = {"revision": given.revision} if given.revision else {}
    tokenizer = tokenizer_of(given.model, revision)
    model = AutoModelForCausalLM.from_pretrained(given.model, dtype=getattr(torch, given.dtype), **revision)
    model = model.to(given.device).eval()
    texts = given.texts.read_text("utf-8").splitlines() if given.texts else TEXTS
    texts = [text for text in texts if text.strip()]
    context = model.config.max_position_embeddings

    def encode(text, special=True):
        return tokenizer(text, add_special_tokens=special)["input_ids"]

    @torch.inference_mode()
    def logits_of(ids):
        """[positions, vocabulary] in double precision."""
        inputs = torch.tensor([ids], device=given.device)
        return model(input_ids=inputs).logits[0].double().cpu()

    def positions(ids):
        logits = logits_of(ids)
        step = max(1, logits.shape[1] // OTHERS)
        for row in logits:
            chosen = row.topk(LARGEST).indices.tolist()
            chosen += [id for id in range(0, logits.shape[1], step)][:OTHERS]
            yield {
                "logsumexp": round(row.logsumexp(0).item(), 6),
                "ids": chosen,
                "logits": [round(row[id].item(), 5) for id in chosen],
            }

    def greedy(prompt):
        ids = encode(prompt)
        made, margins = [], []
        for _ in range(min(given.new_tokens, context - len(ids))):
            top = logits_of(ids + made)[-1].topk(2)
            made.append(top.indices[0].item())
            margins.append(round((top.values[0] - top.values[1]).item(), 6))
        return {"prompt": prompt, "prompt_ids": ids, "ids": made, "margins": margins, "text": tokenizer.decode(made)}

    def likelihoods(context, continuations):
        before = encode(context)
        for continuation in continuations:
            after = encode(continuation, special=False)
            rows = logits_of((before + after)[:-1])[-len(after) :].log_softmax(-1)
            total = sum(row[id].item() for row, id in zip(rows, after))
            yield {
                "context": context, "continuation": continuation,
                "context_ids": before, "continuation_ids": after, "loglikelihood": round(total, 6),
            }

    encoded = [(text, encode(text)[:context]) for text in texts]
    reference = {
        "format": "olmo2-parity-1",
        "model": given.model,
        "revision": given.revision,
        "created": datetime.date.today().isoformat(),
        "versions": {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]},
        "dtype": given.dtype,
        "device": given.device,
        "config": {
            key: getattr(model.config, key)
            for key in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
        },
        "texts": [{"text": text, "ids": ids, "positions": list(positions(ids))} for text, ids in encoded if ids],
        "greedy": [greedy(prompt) for prompt in GREEDY],
        "likelihoods": [one for pair in LIKELIHOODS for one in likelihoods(*pair)],
    }
    given.out.write_text(json.dumps(reference, separators=(",", ":")) + "\n", "utf-8")
    print(f"written: {given.out}")


if __name__ == "__main__":
    main()
