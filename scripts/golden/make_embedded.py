"""Greedy text of the embedded model, as transformers continues it from the shipped folder."""

from common import HERE, out_dir, quiet_torch, versions, write_json

torch = quiet_torch()

from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

MODEL = HERE.parents[1] / "models" / "olmo2-5m"

# As in make_generate.py: a text ends before its first choice closer than this.
MARGIN = 5e-4
NEW_TOKENS = 60

PROMPTS = [
    "Once upon a time",
    "The little dog ran to the",
    "Language modeling is",
    "The first world war began",
    "It was a cold winter night, and",
    "User: I am looking for a restaurant in San Jose.\nAssistant:",
]


def main():
    out = out_dir(__doc__)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    entries = []
    for prompt in PROMPTS:
        inputs = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
        made = model.generate(
            **inputs,
            # generation_config.json has stop strings.
            tokenizer=tokenizer,
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            output_scores=True,
            return_dict_in_generate=True,
        )
        top = torch.stack([step[0].topk(2).values for step in made.scores])
        margins = (top[:, 0] - top[:, 1]).tolist()
        clear = next((i for i, margin in enumerate(margins) if margin <= MARGIN), len(margins))
        assert clear >= min(10, len(margins)), (prompt, margins)
        prompt_ids = inputs["input_ids"][0].tolist()
        ids = made.sequences[0, len(prompt_ids) :][:clear].tolist()
        text = tokenizer.decode(ids, skip_special_tokens=True)
        entries.append({"prompt": prompt, "prompt_ids": prompt_ids, "ids": ids, "text": text})
    write_json(out / "embedded.json", {"versions": versions(), "dtype": "float32", "entries": entries})


if __name__ == "__main__":
    main()
