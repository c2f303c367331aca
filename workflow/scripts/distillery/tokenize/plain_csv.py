"""CSV files of texts, read by pyarrow: it splits them at a quarter of pandas' cost, and pandas takes 0.25 CPU s to import.

What a cell is, pandas decides: a number, a truth value, a null, a text. One of three words is a text to it, and where every
row has the fields that the first line names, both split a file alike. Anything else is in `Doubt`, and pandas' to read.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distillery.source_files import opened
from distillery.tokenize import packed_rows

BLOCK = 1 << 20  # bytes that pyarrow splits at once; a longer row is in doubt
TEXT = re.compile(r"\S\s+\S+\s+\S")  # no number, truth value or null has three words
LAST = "the last row"


class Doubt(Exception):
    """The file goes on with something that only pandas can tell."""


def columns_of(path: Path) -> list[str]:
    """Names of the columns, from the first line.

    Raises:
        Doubt: it names none, or one twice, or its quotes are left open.
        OSError, EOFError, ValueError, zlib.error: the file is damaged.
    """
    with opened(path) as stream:
        line = stream.readline(packed_rows.HEAD).decode("utf-8-sig")
    try:
        names = next(csv.reader([line], strict=True), [])
    except csv.Error:
        raise Doubt from None
    if not names or "" in names or len(set(names)) < len(names) or "\0" in line:
        raise Doubt
    return names


def rows(path: Path, columns: list[str], most: int) -> Iterator[list[dict[str, Any]]]:
    """The rows as far as they are beyond doubt, at most so many at a time; an empty cell is null.

    Raises:
        Doubt: behind the rows that were given.
        Problem: packed rows without end.
        OSError, EOFError, ValueError, zlib.error: the file is damaged.
    """
    import pyarrow as pa
    from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, open_csv

    names = columns_of(path)
    types = dict.fromkeys(names, pa.string())
    try:
        with opened(path) as stream:
            ended = _Ended(packed_rows.Unpacked(path, stream), len(names))
            with open_csv(
                ended,
                ReadOptions(use_threads=False, block_size=BLOCK),
                ParseOptions(newlines_in_values=True),
                ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True),
            ) as reader:
                if reader.schema.names != names:
                    raise Doubt
                for batch, following in itertools.pairwise(itertools.chain(reader, [None])):
                    ended.stream.begin()
                    if following is None:
                        if set(batch.slice(len(batch) - 1).to_pylist()[0].values()) != {LAST}:
                            raise Doubt
                        batch = batch.slice(0, len(batch) - 1)
                    wanted = batch.select(columns)
                    for start in range(0, len(wanted), most):
                        found = wanted.slice(start, most).to_pylist()
                        if not all(cell is None or _is_text(cell) for row in found for cell in row.values()):
                            raise Doubt
                        yield found
    except pa.ArrowInvalid:  # rows of more or fewer fields, a row longer than a block, bytes that are no text
        raise Doubt from None


def _is_text(cell: str) -> bool:
    return TEXT.search(cell) is not None and "\0" not in cell  # where pandas ends the text


class _Ended(io.RawIOBase):
    """A stream and a last row of ours, which is part of the row before it where a quote of that one was left open."""

    def __init__(self, stream: packed_rows.Unpacked, columns: int) -> None:
        self.stream = stream
        self.last = io.BytesIO(f"\n{','.join([LAST] * columns)}\n".encode())

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As any raw stream.

        Raises:
            Doubt: a line end of another kind, behind which pandas may lose a field.
        """
        count = self.stream.readinto(buffer) or self.last.readinto(buffer)
        if b"\r" in memoryview(buffer)[:count].tobytes():
            raise Doubt
        return count
