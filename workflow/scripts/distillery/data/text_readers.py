"""Rows of .csv, .json, .jsonl and .txt files, with the values that `datasets.load_dataset` gives, in bounded memory."""

from __future__ import annotations

import codecs
import io
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from distillery.problems import Problem

CHUNK = 1 << 20
# pandas guesses a column's type from so many rows at a time, and `datasets` asks for this many
CSV_ROWS = 10_000
SCHEMA_ROWS = 1000
Rows = list[dict[str, Any]]


def text_columns(path: Path) -> list[str]:
    return ["text"]


def read_text(path: Path, columns: list[str], block_rows: int) -> Iterator[Rows]:
    """One row `{"text": line}` a line, of lines ended by \\n, \\r\\n or \\r; other Unicode line ends do not count."""
    try:
        with path.open(encoding="utf-8") as stream:
            yield from _blocked(({"text": line.rstrip("\n")} for line in stream), block_rows)
    except UnicodeDecodeError as error:
        raise _damaged(path, error) from None


def csv_columns(path: Path) -> list[str]:
    import pandas as pd

    try:
        return [str(name) for name in pd.read_csv(path, nrows=0).columns]
    except (ValueError, pd.errors.ParserError) as error:  # an empty file is a ValueError too
        raise _damaged(path, error) from None


def read_csv(path: Path, columns: list[str], block_rows: int) -> Iterator[Rows]:
    """Types are guessed by pandas as for `datasets`: a column of digits becomes numbers, an empty field null.

    All columns are parsed: with `usecols` pandas would let rows of too many fields pass.
    """
    import pandas as pd
    import pyarrow as pa

    try:
        with pd.read_csv(path, chunksize=CSV_ROWS) as chunks:
            for chunk in chunks:
                for start in range(0, len(chunk), block_rows):
                    part = chunk[columns].iloc[start : start + block_rows]
                    yield pa.Table.from_pandas(part, preserve_index=False).to_pylist()
    except (ValueError, pd.errors.ParserError) as error:
        raise _damaged(path, error) from None


def json_columns(path: Path) -> list[str]:
    """Keys of the first rows, in the order in which they appear."""
    keys: dict[str, None] = {}
    for row in itertools.islice(_json_rows(path), SCHEMA_ROWS):
        keys |= dict.fromkeys(row)
    return list(keys)


def read_json(path: Path, columns: list[str], block_rows: int) -> Iterator[Rows]:
    """Objects one after the other (usually a line each), or one array of objects; a key that is missing is null."""
    rows = ({column: row.get(column) for column in columns} for row in _json_rows(path))
    yield from _blocked(rows, block_rows)


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Parse value by value from a buffer that never holds much more than one value and one chunk."""
    decoder = json.JSONDecoder()
    number = 0
    with path.open("rb") as raw:
        if raw.read(3) != codecs.BOM_UTF8:
            raw.seek(0)
        stream = io.TextIOWrapper(raw, encoding="utf-8", newline="")
        buffer, position, ended, in_array = "", 0, False, False
        while True:
            try:
                position = _skip(buffer, position, in_array)
                if not in_array and number == 0 and buffer[position : position + 1] == "[":
                    in_array, position = True, position + 1
                    continue
                if position < len(buffer):
                    if in_array and buffer[position] == "]":
                        return
                    value, position = decoder.raw_decode(buffer, position)
                    if isinstance(value, str):
                        value = {"text": value}
                    if not isinstance(value, dict):
                        raise Problem(
                            "a JSON value that is not a row",
                            where=f"{path}, value {number}",
                            found=repr(value)[:80],
                            wanted="an object",
                        )
                    number += 1
                    yield value
                    continue
            except json.JSONDecodeError as error:
                if ended:
                    raise _damaged(path, f"{error.msg}, in row {number}", number) from None
            if ended:
                if in_array:
                    raise _damaged(path, f"the array is not closed after row {number}", number)
                return
            try:
                chunk = stream.read(max(CHUNK, len(buffer) - position))
            except UnicodeDecodeError as error:
                raise _damaged(path, error, number) from None
            buffer, position, ended = buffer[position:] + chunk, 0, not chunk


def _skip(buffer: str, position: int, in_array: bool) -> int:
    skipped = " \t\r\n," if in_array else " \t\r\n"
    while position < len(buffer) and buffer[position] in skipped:
        position += 1
    return position


def _blocked(rows: Iterable[dict[str, Any]], size: int) -> Iterator[Rows]:
    iterator = iter(rows)
    while block := list(itertools.islice(iterator, size)):
        yield block


def _damaged(path: Path, cause: object, row: int | None = None) -> Problem:
    return Problem(
        f"a {path.suffix[1:]} file that cannot be read",
        where=path if row is None else f"{path}, row {row}",
        found=str(cause).splitlines()[0] if str(cause) else repr(cause),
        fix="correct the file or make it again; text must be UTF-8",
    )
