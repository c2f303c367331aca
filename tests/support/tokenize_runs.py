"""What tests of whole runs share: small shards, the two commands, and reading back what they wrote."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import preprocess_data
import pyarrow as pa
import pyarrow.parquet as pq
import tokenize_merge
from places import FIXTURES

from distillery import json_files
from distillery.tokenize import indexed
from distillery.tokenize.dataset_files import DatasetFiles

DATA = FIXTURES / "tokenize"
FULL = DATA / "tokenizers" / "full"
TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}
FLAGS = ["--handler-name", "SharegptStyleInstructionHandler", "--prompt-type", "qwen_math_r1"]
FLAGS += ["--map-keys", json.dumps({"messages": "messages", "tags": TAGS})]


def shard(path: Path, conversations: list[list[tuple[str, str | None]]], first: int = 0) -> Path:
    message = pa.struct([("content", pa.string()), ("role", pa.string())])
    schema = pa.schema({"uuid": pa.string(), "messages": pa.list_(message)})
    rows = [
        {"uuid": f"u{first + n}", "messages": [{"role": role, "content": content} for role, content in turns]}
        for n, turns in enumerate(conversations)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema), path, row_group_size=50)
    return path


def asked(question: str, answer: str | None) -> list[tuple[str, str | None]]:
    return [("user", question), ("assistant", answer)]


def run(source: Path, prefix: Path, *more: str, tokenizer: Path = FULL) -> dict:
    flags = [
        "--input",
        str(source),
        "--output-prefix",
        str(prefix),
        "--tokenizer-name-or-path",
        str(tokenizer),
    ]
    preprocess_data.main(preprocess_data.parser().parse_args([*flags, *FLAGS, *more]))
    return json_files.read(DatasetFiles(prefix).manifest)


def merge(prefixes: list[Path], target: Path) -> dict:
    flags = ["--input-prefixes", *map(str, prefixes), "--output-prefix", str(target)]
    tokenize_merge.main(tokenize_merge.parser().parse_args(flags))
    return json_files.read(DatasetFiles(target).manifest)


def contents(prefix: Path) -> dict[str, bytes]:
    """All files of a prefix, by the rest of their names."""
    return {
        path.name.removeprefix(prefix.name): path.read_bytes()
        for path in prefix.parent.glob(f"{prefix.name}_*")
    }


def sequences(prefix: Path, stem: str) -> list[list[int]]:
    made = DatasetFiles(prefix)
    index = indexed.read(made.bin(stem), made.idx(stem))
    values = np.fromfile(made.bin(stem), "<i4")
    return [part.tolist() for part in np.split(values, np.cumsum(index.lengths)[:-1])]


MANY = [
    asked(f"{n} + {n}?" * (1 + n % 7), f"<think>\n{n}\n</think>\n\n\\boxed{{{2 * n}}}") for n in range(330)
]
MANY[7] = [("user", "alone")]
MANY[200] = asked("q", None)
