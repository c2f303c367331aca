"""The rows of a shard as files of each format: `question` and `answer` for Alpaca's handler, and lines of plain text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CONVERSATIONS = ("parquet", "arrow", "jsonl", "json", "csv")
TEXTS = ("parquet", "txt")


def write(shard: Path, directory: Path) -> dict[str, dict[str, Path]]:
    """{"rows" or "lines": {format: its file}} of a shard with messages, a question and an answer a row."""
    import pyarrow.parquet as pq

    messages = pq.read_table(shard, columns=["messages"])["messages"].to_pylist()
    rows = [{"question": asked["content"], "answer": said["content"]} for asked, said in messages]
    lines = [{"text": " ".join(row["answer"].split())} for row in rows]
    directory.mkdir(parents=True, exist_ok=True)
    return {
        "rows": {ending: _write(rows, directory / f"rows.{ending}") for ending in CONVERSATIONS},
        "lines": {ending: _write(lines, directory / f"lines.{ending}") for ending in TEXTS},
    }


def _write(rows: list[dict[str, Any]], path: Path) -> Path:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(rows)
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=1000)
    elif path.suffix == ".arrow":
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=1000)
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    elif path.suffix == ".txt":
        path.write_text("".join(f"{row['text']}\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    else:
        lines = (json.dumps(row, ensure_ascii=False) for row in rows)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
