"""Rows of .csv, .json, .jsonl and .txt files, with the values that `datasets.load_dataset` gives, in bounded memory.

Each may be compressed, with .gz or .zst behind its ending.
"""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery import json_growth
from distillery.problems import Problem, first_line
from distillery.source_files import PACKED, held, opened
from distillery.tokenize import packed_rows

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 1 << 20
# pandas guesses a column's type from so many rows at a time, and `datasets` asks for this many
CSV_ROWS = 10_000
SCHEMA_ROWS, SCHEMA_BYTES = 1000, 2 << 20
DECODER = json.JSONDecoder()
LONGEST_WORD = 16  # \ud83d\ude42 is the longest with 12
SPACE = re.compile(r"[ \t\r\n]*")
# places in a JSON file: objects follow one another freely; in an array one comma stands between two, and none at its end
START, LINES, OPENED, BEHIND, COMMA, CLOSED = "start", "lines", "opened", "behind a row", "comma", "closed"
STEPS = {(START, "["): OPENED, (OPENED, "]"): CLOSED, (BEHIND, ","): COMMA, (BEHIND, "]"): CLOSED}
Rows = list[dict[str, Any]]
# pandas' own, but for the empty cell
NULL_TEXTS = frozenset(
    "#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|n/a|nan|null".split(
        "|"
    )
)
EMPTY_IS_NULL: dict[str, Any] = {"keep_default_na": False, "na_values": [""]}


class NulledRow(dict):
    """A row of which cells are read as null though they say something: `cells` has their texts by column."""

    cells: dict[str, str]


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
    except unreadable() as error:
        raise _damaged(path, error) from None


def csv_columns(path: Path) -> list[str]:
    """Names of a CSV file's columns, from its first line; a Problem if it cannot be read."""
    import pandas as pd

    try:
        packed_rows.check_columns(path)
        with opened(path) as stream:
            return [str(name) for name in pd.read_csv(stream, nrows=0).columns]
    except unreadable() as error:  # an empty file is a ValueError too
        raise _damaged(path, error) from None


def read_csv(path: Path, columns: list[str], block_rows: int) -> Iterator[Rows]:
    """Types are guessed by pandas as for `datasets`: a column of digits becomes numbers, an empty field null.

    All columns are parsed: with `usecols` pandas would let rows of too many fields pass.
    """
    import pandas as pd

    try:
        packed_rows.check_columns(path)
        with opened(path) as stream:
            unpacked = packed_rows.Unpacked(path, stream)
            rows = pd.read_csv(io.BufferedReader(unpacked, CHUNK), chunksize=CSV_ROWS, **EMPTY_IS_NULL)
            for chunk in rows:
                unpacked.begin()
                if not isinstance(
                    chunk.index, pd.RangeIndex
                ):  # pandas has taken the first fields for names of rows
                    raise Problem(
                        "the rows of a csv file have more fields than its first line names",
                        where=path,
                        found=f"columns {', '.join(map(str, chunk.columns))}, and {chunk.index.nlevels} more fields a row",
                        fix="put a text with commas into double quotes, and name every column in the first line",
                    )
                found = {column: _cells(chunk[column]) for column in columns}
                for start in range(0, len(chunk), block_rows):
                    parts = (values[start : start + block_rows] for values, _ in found.values())
                    rows = [dict(zip(columns, values, strict=True)) for values in zip(*parts, strict=True)]
                    _name_nulls(rows, start, {column: nulled for column, (_, nulled) in found.items()})
                    yield rows
    except unreadable() as error:
        raise _damaged(path, error) from None


def _cells(column: pd.Series) -> tuple[list[Any], dict[int, str]]:
    """A column's values as pandas reads them by default, and by row the texts that it takes for null.

    Where such a text occurs the rest is guessed anew without it: `1, NA` are numbers.
    """
    import pandas as pd
    import pyarrow as pa

    nulled: dict[int, str] = {}
    if column.dtype == object:
        spelt = column.isin(NULL_TEXTS)
        if spelt.any():
            nulled = {row: column.iloc[row] for row in spelt.to_numpy().nonzero()[0].tolist()}
            alone = io.StringIO(column.to_frame("a").to_csv(index=False))
            column = pd.read_csv(alone, skip_blank_lines=False)["a"]
    if column.dtype == object and pd.api.types.infer_dtype(column) == "string":
        return [None if value != value else value for value in column], nulled  # NaN is not itself
    return pa.Array.from_pandas(column).to_pylist(), nulled


def _name_nulls(rows: Rows, start: int, nulled: dict[str, dict[int, str]]) -> None:
    for column, cells in nulled.items():
        for number, cell in cells.items():
            if start <= number < start + len(rows):
                row = rows[number - start]
                if not isinstance(row, NulledRow):
                    row = rows[number - start] = NulledRow(row)
                    row.cells = {}
                row.cells[column] = cell


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
        stream = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
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
                    if most is not None and taken + position > most:
                        return
                    continue
            if ended:
                if place not in (START, LINES, CLOSED):
                    raise _damaged(path, f"the array is not closed after row {number}", number)
                return
            try:
                chunk = stream.read(min(max(CHUNK, len(buffer) - position), most_held // 4))
            except unreadable() as error:
                raise _damaged(path, error, number) from None
            if len(buffer) - position > most_held:
                raise packed_rows.too_long(path, most_held)
            taken += position
            buffer, position, ended = buffer[position:] + chunk, 0, not chunk
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


def unreadable() -> tuple[type[BaseException], ...]:
    """What is raised of text or of what packs it, where it is damaged."""
    import zlib

    from isal import isal_zlib

    return (ValueError, EOFError, OSError, zlib.error, isal_zlib.error)


def _blocked(rows: Iterable[dict[str, Any]], size: int) -> Iterator[Rows]:
    iterator = iter(rows)
    while block := list(itertools.islice(iterator, size)):
        yield block


def _damaged(path: Path, cause: object, row: int | None = None) -> Problem:
    return Problem(
        f"a {''.join(path.suffixes[-2:] if path.suffix in PACKED else [path.suffix])[1:]} file that cannot be read",
        where=path if row is None else f"{path}, row {row}",
        found=first_line(cause),
        fix="write it as UTF-8: `iconv -f GB18030 -t UTF-8 FILE > NEW`, with the name of its own encoding"
        if isinstance(cause, UnicodeDecodeError)
        else "correct the file or make it again; text must be UTF-8",
    )
