"""Rows of .csv files, with the values that `datasets.load_dataset` gives, in bounded memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery.problems import Problem
from distillery.source_files import opened
from distillery.tokenize import packed_rows, plain_csv
from distillery.tokenize.text_readers import CHUNK, UNREADABLE, Rows, damaged

if TYPE_CHECKING:
    import pandas as pd

# pandas guesses a column's type from so many rows at a time, and `datasets` asks for this many
CSV_ROWS = 10_000
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


def columns_of(path: Path) -> list[str]:
    """Names of a CSV file's columns, from its first line; a Problem if it cannot be read."""
    try:
        packed_rows.check_columns(path)
        with suppress(plain_csv.Doubt):
            return plain_csv.columns_of(path)
        import pandas as pd

        with opened(path) as stream:
            return [str(name) for name in pd.read_csv(stream, nrows=0).columns]
    except UNREADABLE as error:  # an empty file is a ValueError too
        raise damaged(path, error) from None


def read(path: Path, columns: list[str], block_rows: int) -> Iterator[Rows]:
    """Types are guessed by pandas as for `datasets`: a column of digits becomes numbers, an empty field null.

    Raises:
        Problem: the file is damaged, or has rows of more fields than its first line names.
    """
    done = 0
    try:
        packed_rows.check_columns(path)
        with suppress(plain_csv.Doubt):
            for rows in plain_csv.rows(path, columns, block_rows):
                yield rows
                done += len(rows)
            return
        yield from _by_pandas(path, columns, block_rows, done)
    except UNREADABLE as error:
        raise damaged(path, error) from None


def _by_pandas(path: Path, columns: list[str], block_rows: int, done: int) -> Iterator[Rows]:
    """The rows behind the first `done`.

    All columns are parsed: with `usecols` pandas would let rows of too many fields pass.
    """
    import pandas as pd

    with opened(path) as stream:
        unpacked = packed_rows.Unpacked(path, stream)
        chunks = pd.read_csv(io.BufferedReader(unpacked, CHUNK), chunksize=CSV_ROWS, **EMPTY_IS_NULL)
        for chunk in chunks:
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
            for start in range(max(done - chunk.index.start, 0), len(chunk), block_rows):
                parts = (values[start : start + block_rows] for values, _ in found.values())
                rows = [dict(zip(columns, values, strict=True)) for values in zip(*parts, strict=True)]
                _name_nulls(rows, start, {column: nulled for column, (_, nulled) in found.items()})
                yield rows


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
            alone = io.StringIO(column.to_frame("a").to_csv(index=False, quoting=csv.QUOTE_ALL))
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
