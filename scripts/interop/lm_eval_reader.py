"""Let lm_eval 0.4.13 read what `olmo2 eval export` writes.

    .venv/bin/pip install lm_eval==0.4.13 datasets pytablewriter
    olmo2 eval export EVALUATION -o exported && .venv/bin/python scripts/interop/lm_eval_reader.py exported

Its own functions find the files, make the table and check the hashes; `datasets` reads the samples, as
its uploads to the hub are read. What it finds is printed and held against the samples' own numbers.
"""

import json
import math
import sys
from pathlib import Path

from datasets import load_dataset
from lm_eval.result_schema import EvalResults, SampleResult
from lm_eval.utils import (
    get_file_datetime,
    get_latest_filename,
    get_results_filenames,
    get_sample_results_filenames,
    hash_string,
    make_table,
)


def main():
    files = [str(path) for path in Path(sys.argv[1]).rglob("*") if path.is_file()]
    results = json.loads(Path(get_latest_filename(get_results_filenames(files))).read_text("utf-8"))
    unknown = results.keys() - EvalResults.__annotations__.keys()
    assert not unknown, unknown
    print(make_table(results))
    samples = get_sample_results_filenames(files)
    assert len(samples) == len(results["results"]), samples
    for file in samples:
        check(file, results)
    print(f"{len(samples)} files of samples are as lm_eval has them")


def check(file, results):
    rows = load_dataset("json", data_files=file, split="train")
    stem = Path(file).name.removeprefix("samples_").removesuffix(f"_{get_file_datetime(file)}.jsonl")
    task = next(name for name in results["results"] if "".join(c if c.isalnum() or c == "_" else "_" for c in name) == stem)
    lines = [json.loads(line) for line in Path(file).read_text("utf-8").splitlines()]
    assert len(rows) == len(lines) == results["n-samples"][task]["effective"], file
    for line in lines:
        fixed = SampleResult.__annotations__.keys()
        assert fixed <= line.keys(), fixed - line.keys()
        assert line.keys() - fixed == set(line["metrics"]), line.keys()
        assert line["prompt_hash"] == hash_string(line["doc"]["prompt"])
        assert line["target_hash"] == hash_string(line["target"])
        assert line["doc_hash"] == hash_string(json.dumps(line["doc"], indent=2, ensure_ascii=False)), line["doc_id"]
        for answer in line["filtered_resps"]:
            if isinstance(answer, list):
                float(answer[0])
    hashes = [line["doc_hash"] + line["prompt_hash"] + line["target_hash"] for line in lines]
    assert results["task_hashes"][task] == hash_string("".join(hashes)), task
    for name in lines[0]["metrics"]:
        mean = sum(line[name] for line in lines) / len(lines)
        assert math.isclose(mean, results["results"][task][f"{name},none"], rel_tol=1e-6), (task, name)


if __name__ == "__main__":
    main()
