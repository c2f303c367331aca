"""Rows of files in blocks of bounded memory: .parquet, .arrow, .csv, .json, .jsonl, .txt, or a directory of one kind.

Only the columns that are asked for are read. Row values are what `datasets.load_dataset` gives for the same
file. Files of a directory are taken in the order of their names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery.data import text_readers
from distillery.problems import Problem, UsageProblem

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_ROWS = 64
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Source:
    """One file. `read(path, columns, block_rows)` yields blocks of rows, `columns(path)` names what is there."""

    path: Path
    columns: Callable[[Path], list[str]]
    read: Callable[[Path, list[str], int], Iterator[Rows]]

    def check(self, wanted: list[str], optional: tuple[str, ...] = ()) -> list[str]:
        """`wanted` and those of `optional` that this file has.

        Raises:
            Problem: the file is not readable, or a wanted column is not in it.
        """
        found = self.columns(self.path)
        for column in wanted:
            if column not in found:
                raise Problem(
                    "a column is not there",
                    where=f"{self.path}, column {column}",
                    found=", ".join(found) or "no columns",
                    wanted=", ".join(wanted),
                    fix='say which columns to use with --map-keys, e.g. {"messages": "conversations"}; '
                    'an optional part of Alpaca rows is switched off with null: {"query": null}',
                )
        return [
            *dict.fromkeys(wanted),
            *(column for column in optional if column in found and column not in wanted),
        ]

    def blocks(self, columns: list[str]) -> Iterator[Rows]:
        return self.read(self.path, columns, BLOCK_ROWS)


def sources(path: Path) -> list[Source]:
    """The file, or the data files of the directory in the order of their names.

    Raises:
        UsageProblem: nothing to read, an unknown kind, or a directory of two kinds.
    """
    if path.is_file():
        if (kind := _kind(path)) is None:
            raise UsageProblem(
                "a file of unknown kind",
                where=path,
                found=path.suffix or "no suffix",
                wanted=", ".join(KINDS),
            )
        return [Source(path, *kind)]
    if not path.is_dir():
        raise UsageProblem("no such input", where=path, fix="give a file or a directory of files to --input")
    files = [
        each for each in sorted(path.iterdir()) if each.is_file() and each.name[0] != "." and _kind(each)
    ]
    if not files:
        raise UsageProblem("no data files in the directory", where=path, wanted=", ".join(KINDS))
    formats = {KIND_NAMES[each.suffix]: each.name for each in reversed(files)}
    if len(formats) > 1:
        raise UsageProblem(
            "a directory of several formats",
            where=path,
            found=", ".join(f"{name} ({example})" for name, example in sorted(formats.items())),
            wanted="files of one format",
            fix="give the files one by one, or move one format away",
        )
    return [Source(each, *_kind(each)) for each in files]  # type: ignore[misc]


def parquet_columns(path: Path) -> list[str]:
    with _parquet(path) as file:
        return file.schema_arrow.names


def read_parquet(path: Path, columns: list[str], block_rows: int) -> Iterator[Rows]:
    """Row group by row group, pages through a buffer: memory does not grow with a row group's size."""
    with _parquet(path) as file:
        for group in range(file.num_row_groups):
            try:
                for batch in file.iter_batches(
                    block_rows, row_groups=[group], columns=columns, use_threads=False
                ):
                    yield batch.to_pylist()
            except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors too
                raise _damaged(path, f"row group {group} of {file.num_row_groups}", error) from None


@contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    import pyarrow.parquet as pq

    if path.stat().st_size == 0:
        raise _damaged(path, "the whole file", "0 bytes")
    try:
        file = pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
    except (OSError, ValueError) as error:
        raise _damaged(path, "the footer", error) from None
    with file:
        yield file


def arrow_columns(path: Path) -> list[str]:
    with _arrow(path) as batches:
        return batches.schema.names


def read_arrow(path: Path, columns: list[str], block_rows: int) -> Iterator[Rows]:
    """An IPC stream, as `datasets` caches are, or an IPC file."""
    with _arrow(path) as batches:
        number = 0
        while True:
            try:
                batch = batches.get(number)
            except (OSError, ValueError) as error:
                raise _damaged(path, f"record batch {number}", error) from None
            if batch is None:
                return
            chosen = batch.select(columns)
            for start in range(0, chosen.num_rows, block_rows):
                yield chosen.slice(start, block_rows).to_pylist()
            number += 1


class _Batches:
    """The record batches of an IPC stream or file, one after the other."""

    def __init__(self, reader: Any, is_file: bool) -> None:
        self.reader, self.is_file = reader, is_file
        self.schema: pa.Schema = reader.schema

    def get(self, number: int) -> pa.RecordBatch | None:
        if self.is_file:
            return self.reader.get_batch(number) if number < self.reader.num_record_batches else None
        try:
            return self.reader.read_next_batch()
        except StopIteration:
            return None


@contextmanager
def _arrow(path: Path) -> Iterator[_Batches]:
    import pyarrow as pa

    if path.stat().st_size == 0:
        raise _damaged(path, "the whole file", "0 bytes")
    with pa.memory_map(str(path)) as stream:
        is_file = stream.read(6) == b"ARROW1"
        stream.seek(0)
        try:
            reader = pa.ipc.open_file(stream) if is_file else pa.ipc.open_stream(stream)
        except (OSError, ValueError) as error:
            raise _damaged(path, "the schema", error) from None
        yield _Batches(reader, is_file)


def _damaged(path: Path, where: str, cause: object) -> Problem:
    return Problem(
        f"a {path.suffix[1:]} file that cannot be read",
        where=f"{path}, {where}",
        found=str(cause).splitlines()[0] if str(cause) else repr(cause),
        wanted=f"a whole {path.suffix[1:]} file",
        fix="fetch or make the file again",
    )


Kind = tuple[Callable[[Path], list[str]], Callable[[Path, list[str], int], Iterator[Rows]]]
KINDS: dict[str, Kind] = {
    ".parquet": (parquet_columns, read_parquet),
    ".arrow": (arrow_columns, read_arrow),
    ".csv": (text_readers.csv_columns, text_readers.read_csv),
    ".json": (text_readers.json_columns, text_readers.read_json),
    ".jsonl": (text_readers.json_columns, text_readers.read_json),
    ".txt": (text_readers.text_columns, text_readers.read_text),
}
KIND_NAMES = {suffix: "json" if suffix == ".jsonl" else suffix[1:] for suffix in KINDS}


def _kind(path: Path) -> Kind | None:
    return KINDS.get(path.suffix)
