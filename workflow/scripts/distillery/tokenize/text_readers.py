"""Rows of .csv, .json, .jsonl and .txt files, with the values that `datasets.load_dataset` gives, in bounded memory."""

from __future__ import annotations

import codecs
import io
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from distillery.problems import Problem

CHUNK = 1 << 20
# pandas guesses a column's type from so many rows at a time, and `datasets` asks for this many
CSV_ROWS = 10_000
SCHEMA_ROWS = 1000
DECODER = json.JSONDecoder()
LONGEST_WORD = 16  # \ud83d\ude42 is the longest with 12
SPACE = re.compile(r"[ \t\r\n]*")
# places in a JSON file: objects follow one another freely; in an array one comma stands between two, and none at its end
START, LINES, OPENED, BEHIND, COMMA, CLOSED = "start", "lines", "opened", "behind a row", "comma", "closed"
STEPS = {(START, "["): OPENED, (OPENED, "]"): CLOSED, (BEHIND, ","): COMMA, (BEHIND, "]"): CLOSED}
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
    number = 0
    with path.open("rb") as raw:
        if raw.read(3) != codecs.BOM_UTF8:
            raw.seek(0)
        stream = io.TextIOWrapper(raw, encoding="utf-8", newline="")
        buffer, position, ended, place = "", 0, False, START
        while True:
            position = SPACE.match(buffer, position).end()  # type: ignore[union-attr]
            if position < len(buffer):
                if step := STEPS.get((place, buffer[position])):
                    place, position = step, position + 1
                    continue
                if place in (BEHIND, CLOSED):
                    wanted = "a comma" if place == BEHIND else "the end of the file"
                    raise _damaged(path, f"{buffer[position]!r} instead of {wanted}", number)
                try:
                    parsed = _value(buffer, position, ended)
                except (ValueError, RecursionError) as error:  # a JSONDecodeError, or a number of 5000 digits
                    cause = error.msg if isinstance(error, json.JSONDecodeError) else error
                    raise _damaged(path, f"{cause}, in row {number}", number) from None
                if parsed:
                    value, position = parsed
                    value = {"text": value} if isinstance(value, str) else value
                    if not isinstance(value, dict):
                        raise Problem(
                            "a JSON value that is not a row",
                            where=f"{path}, value {number}",
                            found=repr(value)[:80],
                            wanted="an object",
                        )
                    place = LINES if place in (START, LINES) else BEHIND
                    number += 1
                    yield value
                    continue
            if ended:
                if place not in (START, LINES, CLOSED):
                    raise _damaged(path, f"the array is not closed after row {number}", number)
                return
            try:
                chunk = stream.read(max(CHUNK, len(buffer) - position))
            except UnicodeDecodeError as error:
                raise _damaged(path, error, number) from None
            buffer, position, ended = buffer[position:] + chunk, 0, not chunk


def _value(buffer: str, position: int, ended: bool) -> tuple[Any, int] | None:
    """The value there and where it ends; None if the rest of it may still come.

    What is wrong at the buffer's end can be an escape or a word that was cut: nothing longer, but for a string.
    """
    try:
        return DECODER.raw_decode(buffer, position)
    except json.JSONDecodeError as error:
        cut = len(buffer) - error.pos < LONGEST_WORD or error.msg.startswith("Unterminated string")
        if ended or not cut:
            raise
        return None


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
