"""Rows as the bytes of a file, by the ending that says how it is read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq


def zstd(content: bytes) -> bytes:
    return pa.Codec("zstd").compress(content, asbytes=True)


def zstd_stream(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def in_csv(rows: list[dict]) -> bytes:
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(pa.Table.from_pylist(rows), sink)
    return sink.getvalue().to_pybytes()


def in_lines(rows: list[dict]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def in_parquet(rows: list[dict]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=70)
    return sink.getvalue().to_pybytes()


def in_arrow(rows: list[dict]) -> bytes:
    sink, table = pa.BufferOutputStream(), pa.Table.from_pylist(rows)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=90)
    return sink.getvalue().to_pybytes()


MAKERS: dict[str, Callable[[list[dict]], bytes]] = {
    "parquet": in_parquet,
    "arrow": in_arrow,
    "csv": in_csv,
    "json": lambda rows: json.dumps(rows, indent=1).encode(),
    "jsonl": in_lines,
    "csv.gz": lambda rows: gzip.compress(in_csv(rows)),
    # members one after the other are one file, as `cat a.gz b.gz` and pigz make them
    "jsonl.gz": lambda rows: gzip.compress(in_lines(rows[:50])) + gzip.compress(in_lines(rows[50:])),
    "jsonl.zst": lambda rows: zstd(in_lines(rows[:50])) + zstd_stream(in_lines(rows[50:])),
    "json.zst": lambda rows: zstd(json.dumps(rows).encode()),
}
