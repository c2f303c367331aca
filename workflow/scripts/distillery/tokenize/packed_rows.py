"""Rows of packed text within bounds: three megabytes of .gz may hold three gigabytes of one row."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, Any

from distillery.problems import Problem
from distillery.source_files import held, opened

HEAD, COLUMNS = 1 << 20, 10_000  # bytes that a first line may have, and columns that it may name


def line(text: str, most: int, path: Path) -> str:
    """A line without its end, of those that were read up to `most` characters.

    Raises:
        Problem: the line goes on.
    """
    if len(text) >= most:
        raise too_long(path, most)
    return text.rstrip("\n")


def too_long(path: Path, most: int) -> Problem:
    """What is said of a file with such a row."""
    return Problem(
        "a row that is far longer than the file it is packed in: refused",
        where=path,
        found=f"a file of {path.stat().st_size} bytes, and a row of more than {most}",
        fix="unpack the file, if rows are meant to be so long",
    )


def check_columns(path: Path) -> None:
    """Refuse a csv file whose first line names columns without end: pandas makes each an array, for every block of rows.

    Raises:
        Problem: more than COLUMNS, or no end of the line within HEAD.
    """
    with opened(path) as stream:
        head = stream.read(HEAD)
    first = head.partition(b"\n")[0]
    if (number := first.count(b",") + 1) > COLUMNS or len(first) == HEAD:
        raise Problem(
            "a csv file with columns without end",
            where=path,
            found=f"{number} columns in the first {len(first)} bytes",
            wanted=f"a first line of at most {COLUMNS} columns and {HEAD} bytes",
            fix="name columns in the first line; rows follow it",
        )


class Unpacked(io.RawIOBase):
    """The bytes of a stream, as long as not far more than its file has is read between two calls of `begin`."""

    def __init__(self, path: Path, stream: IO[bytes]):
        self._path, self._stream, self._most, self._taken = path, stream, held(path), 0

    def begin(self) -> None:
        """What was read until now is done with."""
        self._taken = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As any raw stream.

        Raises:
            Problem: too much at once.
        """
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._taken += len(data)
        if self._taken > self._most:
            raise too_long(self._path, self._most)
        return len(data)
