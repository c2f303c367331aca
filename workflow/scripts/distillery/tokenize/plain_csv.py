"""CSV files of texts, read by pyarrow: it reads them at half of pandas' cost, and pandas takes 0.25 CPU s to import.

What a cell is, pandas decides: a number, a truth value, a null, a text. One of three words is a text to it, and where every
row has the fields that the first line names, both split a file alike. Anything else is in `Doubt`, and pandas' to read.

Blocks are cut here: pyarrow's own reader of streams asks for the next one from a thread, which ends a process that ends meanwhile.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from distillery.source_files import opened
from distillery.tokenize import packed_rows

BLOCK, LONGEST = 1 << 20, 4 << 20  # bytes that are read at once, and that may have no row's end
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
        return _names(stream)


def rows(path: Path, columns: list[str], most: int) -> Iterator[list[dict[str, Any]]]:
    """The rows as far as they are beyond doubt, at most so many at a time; an empty cell is null.

    Raises:
        Doubt: behind the rows that were given.
        Problem: packed rows without end.
        OSError, EOFError, ValueError, zlib.error: the file is damaged.
    """
    import pyarrow as pa
    from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

    with opened(path) as raw:
        unpacked = packed_rows.Unpacked(path, raw)
        stream = io.BufferedReader(unpacked, BLOCK)
        names = _names(stream)
        last = f"\n{','.join([LAST] * len(names))}\n".encode()
        convert = ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
        )
        for block in _blocks(stream):
            # `last` is part of the row before it where a quote of that one is open; behind an empty line no mark of
            # byte order is skipped
            content = b"\n" + block + last
            read = ReadOptions(use_threads=False, block_size=len(content), column_names=names)
            try:
                table = read_csv(
                    pa.BufferReader(content), read, ParseOptions(newlines_in_values=True), convert
                )
            except pa.ArrowInvalid:  # rows of more or fewer fields, or bytes that are no text
                raise Doubt from None
            whole = table.num_rows - 1
            if set(table.slice(whole).to_pylist()[0].values()) != {LAST}:
                raise Doubt
            table = table.select(columns)
            for start in range(0, whole, most):
                found = table.slice(start, min(most, whole - start)).to_pylist()
                if not all(cell is None or _is_text(cell) for row in found for cell in row.values()):
                    raise Doubt
                unpacked.begin()
                yield found


def _names(stream: IO[bytes]) -> list[str]:
    line = stream.readline(packed_rows.HEAD).decode("utf-8-sig")
    try:
        names = next(csv.reader([line], strict=True), [])
    except csv.Error:
        raise Doubt from None
    if not names or "" in names or len(set(names)) < len(names) or "\0" in line or "\r" in line:
        raise Doubt
    return names


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    """What is left of a stream, cut behind rows as far as quotes tell: where they do not, a row is open in a block."""
    rest = b""
    while data := stream.read(BLOCK):
        if b"\r" in data:  # a line end of another kind, behind which pandas may lose a field
            raise Doubt
        block = rest + data
        end = _behind_last_row(block)
        if end:
            yield block[:end]
        elif len(block) > LONGEST:
            raise Doubt
        rest = block[end:]
    yield rest


def _behind_last_row(block: bytes) -> int:
    """Behind the last line end before which the number of quotes is even; 0 for none."""
    end, quotes = len(block), block.count(b'"')
    while (at := block.rfind(b"\n", 0, end)) >= 0:
        quotes -= block.count(b'"', at, end)
        if quotes % 2 == 0:
            return at + 1
        end = at
    return 0


def _is_text(cell: str) -> bool:
    return TEXT.search(cell) is not None and "\0" not in cell  # where pandas ends the text
