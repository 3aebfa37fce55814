"""Parquet files as pyarrow writes them, in its ways to pack and lay out, and their rows.

The largest of them is a few kilobytes, and the rows stand once in `rows.json`.
"""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from common import out_dir, write_json

ROWS = [
    {
        "text": "A first document.\nWith two lines.",
        "messages": [{"role": "user", "content": "Hi\u00a0there"}, {"role": "assistant", "content": "Hello \U0001f600"}],
        "tools": None,
        "n": 1,
        "share": 0.5,
        "good": True,
    },
    {"text": "  blanks around  ", "messages": [], "tools": "[]", "n": None, "share": None, "good": None},
    {
        "text": "é ü 語 \u2028 and a long repetition: " + "again and " * 40,
        "messages": [{"role": "system", "content": None}, {"role": None, "content": ""}],
        "tools": "x",
        "n": -(2**60),
        "share": -1e300,
        "good": False,
    },
    *({"text": f"document {i % 3}", "messages": None, "tools": None, "n": i, "share": i / 4, "good": i % 2 == 0} for i in range(40)),
]

SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("tools", pa.string()),
        ("n", pa.int64()),
        ("share", pa.float64()),
        ("good", pa.bool_()),
    ]
)

FILES = {
    "snappy": {"compression": "snappy"},
    "gzip": {"compression": "gzip"},
    "lz4": {"compression": "lz4"},
    "plain": {"compression": "none", "use_dictionary": False},
    "v2": {"compression": "snappy", "data_page_version": "2.0", "version": "2.6"},
    "groups": {"compression": "snappy", "row_group_size": 7, "data_page_size": 64, "write_page_index": True},
    "delta": {"compression": "none", "use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY", "n": "DELTA_BINARY_PACKED"}},
    "zstd": {"compression": "zstd"},
    "legacy": {"compression": "zstd", "use_compliant_nested_type": False, "version": "1.0"},
    "brotli": {"compression": "brotli"},
}

# The same rows in Arrow's other types of texts and lists: as the reader casts them, dictionaries among them.
LARGE = pa.schema(
    [
        ("text", pa.large_string()),
        ("messages", pa.large_list(pa.struct([("role", pa.dictionary(pa.int32(), pa.string())), ("content", pa.large_string())]))),
        ("tools", pa.string_view()),
        ("n", pa.int64()),
        ("share", pa.float64()),
        ("good", pa.bool_()),
    ]
)

# As `datasets` keeps what has no one type: texts in JSON, in columns that say so.
JSON = [
    {"messages": [{"role": "user", "content": "Hi", "functions": None}, {"role": "assistant", "content": 5}], "tools": [{"name": "f"}], "text": '{"a": 1}'},
    {"messages": [], "tools": None, "text": "[]"},
    {"messages": None, "tools": [{"name": "g", "x": [1.5, {"y": "é"}]}, "h"], "text": None},
]
TEXT_SCHEMA = pa.schema([("messages", pa.list_(pa.string())), ("tools", pa.string()), ("text", pa.string())])
JSON_SCHEMA = pa.schema([("messages", pa.list_(pa.json_())), ("tools", pa.json_()), ("text", pa.string())])

# As data sets of questions on the hub have their columns.
QUESTIONS = [
    {
        "question": f"Which number comes after {n}?",
        "choices": {"text": [str(n + 1), str(n + 7), "none"], "label": ["A", "B", "C"]},
        "answerKey": "A",
        "mc2_targets": {"choices": [f"{n + 1} does.", "None does."], "labels": [1, 0]},
    }
    for n in range(5)
]
TEXTS, NUMBERS = pa.list_(pa.string()), pa.list_(pa.int32())
QUESTION_SCHEMA = pa.schema(
    [
        ("question", pa.string()),
        ("choices", pa.struct([("text", TEXTS), ("label", TEXTS)])),
        ("answerKey", pa.string()),
        ("mc2_targets", pa.struct([("choices", TEXTS), ("labels", NUMBERS)])),
    ]
)


def main():
    out = out_dir(__doc__) / "parquet"
    out.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(ROWS, schema=SCHEMA)
    for name, options in FILES.items():
        pq.write_table(table, out / f"{name}.parquet", **options)
        assert pq.read_table(out / f"{name}.parquet").to_pylist() == ROWS
    large = pa.Table.from_pylist(ROWS, schema=LARGE)
    pq.write_table(large, out / "large.parquet")
    texts = [
        {
            "messages": row["messages"] if row["messages"] is None else [json.dumps(message) for message in row["messages"]],
            "tools": row["tools"] if row["tools"] is None else json.dumps(row["tools"]),
            "text": row["text"],
        }
        for row in JSON
    ]
    pq.write_table(pa.Table.from_pylist(texts, schema=TEXT_SCHEMA).cast(JSON_SCHEMA), out / "json.parquet")
    pq.write_table(pa.Table.from_pylist(QUESTIONS, schema=QUESTION_SCHEMA), out / "questions.parquet")
    write_json(out / "rows.json", {"pyarrow": pa.__version__, "rows": ROWS, "json": JSON})


main()
