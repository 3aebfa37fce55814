"""Labels of all answers and nothing else, found from outside: what our `--labels exact` is held to.

Open Instruct has no such rule. Its own templates render each conversation, and again with a stand-in for one answer's
content at a time: what stays the same before and behind the stand-in is not the answer's. The calls and the token that
end an answer are its own too. A token is learnt that has a character of an answer.
"""

import gzip

import numpy as np

STAND_IN = "\uf8ff"


def rendered(tokenizer, messages: list[dict]) -> str:
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False)


def answer(tokenizer, messages: list[dict], index: int, whole: str, ends: list[str]) -> tuple[int, int] | None:
    """Where the answer of that number stands in the whole."""
    other = [dict(message) for message in messages]
    other[index]["content"] = STAND_IN
    parts = rendered(tokenizer, other).split(STAND_IN)
    if len(parts) != 2:
        return None
    before, behind = parts
    assert whole.startswith(before) and whole.endswith(behind), "a template writes more than the answer anew"
    start, end = len(before), len(whole) - len(behind)
    calls = messages[index].get("function_calls")
    if calls is not None and behind.startswith(f"<function_calls>{calls}</function_calls>"):
        end += len(f"<function_calls>{calls}</function_calls>")
    return start, end + max((len(text) for text in ends if whole.startswith(text, end)), default=0)


def example(tokenizer, messages: list[dict], max_seq_length: int | None) -> tuple[list[int], list[bool]]:
    """The ids of a conversation, and which of them are learnt."""
    whole = rendered(tokenizer, messages)
    ends = list(tokenizer.get_added_vocab())
    indices = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    spans = [answer(tokenizer, messages, index, whole, ends) for index in indices]
    tokens = tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
    labels = [
        any(span and start < end and start < span[1] and span[0] < end for span in spans)
        for start, end in tokens["offset_mapping"]
    ]
    return tokens["input_ids"][:max_seq_length], labels[:max_seq_length]


def files(tokenizer, conversations: list[list[dict]], max_seq_length: int | None, seed: int) -> dict[str, bytes]:
    """The files for OLMo-core, of conversations with something to learn, in the order of a shuffled data set."""
    examples = [example(tokenizer, messages, max_seq_length) for messages in conversations]
    kept = [one for one in examples if any(one[1])]
    kept = [kept[index] for index in np.random.default_rng(seed).permutation(len(kept))]
    ends = np.cumsum([len(ids) for ids, _ in kept])
    dtype = np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.uint32
    lines = "".join(f"{end - len(ids)},{end}\n" for end, (ids, _) in zip(ends, kept))
    return {
        "token_ids_part_0000.npy": np.concatenate([ids for ids, _ in kept]).astype(dtype).tobytes(),
        "labels_mask_part_0000.npy": np.concatenate([labels for _, labels in kept]).astype(np.bool_).tobytes(),
        "token_ids_part_0000.csv.gz": gzip.compress(lines.encode()),
    }
