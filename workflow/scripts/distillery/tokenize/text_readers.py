"""Rows of .json, .jsonl and .txt files, with the values that `datasets.load_dataset` gives, in bounded memory.

Each may be compressed, with .gz or .zst behind its ending.
"""

from __future__ import annotations

import codecs
import io
import itertools
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from isal import isal_zlib

from distillery import json_growth
from distillery.problems import Problem, first_line
from distillery.source_files import PACKED, held, opened
from distillery.tokenize import packed_rows

CHUNK = 1 << 20
SCHEMA_ROWS, SCHEMA_BYTES = 1000, 2 << 20
DECODER = json.JSONDecoder()
LONGEST_WORD = 16  # \ud83d\ude42 is the longest with 12
SPACE = re.compile(r"[ \t\r\n]*")
# places in a JSON file: objects follow one another freely; in an array one comma stands between two, and none at its end
START, LINES, OPENED, BEHIND, COMMA, CLOSED = "start", "lines", "opened", "behind a row", "comma", "closed"
STEPS = {(START, "["): OPENED, (OPENED, "]"): CLOSED, (BEHIND, ","): COMMA, (BEHIND, "]"): CLOSED}
Rows = list[dict[str, Any]]
# what is raised of text or of what packs it, where it is damaged
UNREADABLE = (ValueError, EOFError, OSError, zlib.error, isal_zlib.error)


def text_columns(path: Path) -> list[str]:
    """The only column that a file of plain text has."""
    return ["text"]


def read_text(path: Path, columns: list[str], block_rows: int) -> Iterator[Rows]:
    """One row `{"text": line}` a line, of lines ended by \\n, \\r\\n or \\r; other Unicode line ends do not count."""
    try:
        with io.TextIOWrapper(opened(path), encoding="utf-8") as stream:
            most = held(path)
            lines = iter(lambda: stream.readline(most), "")
            yield from _blocked(({"text": packed_rows.line(line, most, path)} for line in lines), block_rows)
    except UNREADABLE as error:
        raise damaged(path, error) from None


def json_columns(path: Path) -> list[str]:
    """Keys of the first rows, in the order in which they appear."""
    keys: dict[str, None] = {}
    for row in itertools.islice(_json_rows(path, SCHEMA_BYTES), SCHEMA_ROWS):
        keys |= dict.fromkeys(row)
    return list(keys)


def read_json(path: Path, columns: list[str], block_rows: int) -> Iterator[Rows]:
    """Objects one after the other (usually a line each), or one array of objects; a key that is missing is null."""
    rows = ({column: row.get(column) for column in columns} for row in _json_rows(path))
    yield from _blocked(rows, block_rows)


def _json_rows(path: Path, most: int | None = None) -> Iterator[dict[str, Any]]:
    """Parse value by value from a buffer that never holds much more than one value and one chunk.

    Args:
        most: no row is begun behind so many characters.
    """
    number, taken, most_held = 0, 0, held(path)
    with opened(path) as raw:
        decoder = codecs.getincrementaldecoder("utf-8-sig")()  # TextIOWrapper would decode 8 KB at a time
        buffer, position, ended, place = "", 0, False, START
        while True:
            position = SPACE.match(buffer, position).end()  # type: ignore[union-attr]
            if position < len(buffer):
                if step := STEPS.get((place, buffer[position])):
                    place, position = step, position + 1
                    continue
                if place in (BEHIND, CLOSED):
                    wanted = "a comma" if place == BEHIND else "the end of the file"
                    raise damaged(path, f"{buffer[position]!r} instead of {wanted}", number)
                try:
                    parsed = _value(buffer, position, ended)
                except (ValueError, RecursionError) as error:  # a JSONDecodeError, or a number of 5000 digits
                    cause = error.msg if isinstance(error, json.JSONDecodeError) else error
                    raise damaged(path, f"{cause}, in row {number}", number) from None
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
                    if most is not None and taken + position > most:
                        return
                    continue
            if ended:
                if place not in (START, LINES, CLOSED):
                    raise damaged(path, f"the array is not closed after row {number}", number)
                return
            try:
                data = raw.read(min(max(CHUNK, len(buffer) - position), most_held // 4))
                chunk = decoder.decode(data, final=not data)
            except UNREADABLE as error:
                raise damaged(path, error, number) from None
            if len(buffer) - position > most_held:
                raise packed_rows.too_long(path, most_held)
            taken += position
            buffer, position, ended = buffer[position:] + chunk, 0, not data
            json_growth.check(buffer, f"{path}, row {number}")


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


def damaged(path: Path, cause: object, row: int | None = None) -> Problem:
    """What to say of a file of text that cannot be read."""
    return Problem(
        f"a {''.join(path.suffixes[-2:] if path.suffix in PACKED else [path.suffix])[1:]} file that cannot be read",
        where=path if row is None else f"{path}, row {row}",
        found=first_line(cause),
        fix="write it as UTF-8: `iconv -f GB18030 -t UTF-8 FILE > NEW`, with the name of its own encoding"
        if isinstance(cause, UnicodeDecodeError)
        else "correct the file or make it again; text must be UTF-8",
    )
