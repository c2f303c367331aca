"""Rows of files in blocks of bounded memory: .parquet, .arrow, .csv, .json, .jsonl, .txt, or a directory of one kind.

Text may be packed, as .jsonl.gz or .csv.zst.

Only the columns that are asked for are read. Row values are what `datasets.load_dataset` gives for the same
file. Files of a directory are taken in the order of their names.

A file is divided into spans, so that several processes can read it. Tables are divided without reading a row.
Text cannot be: where a row of .csv or .json begins is known only to who has read all before it (a quote may enclose
any number of lines). There a span brings its rows along, read by whoever divides.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from distillery import dotted, source_files
from distillery.parquet_files import BATCH_ROWS, Piece, Table, damaged
from distillery.problems import Problem, UsageProblem
from distillery.source_files import PACKED
from distillery.tokenize import csv_rows, text_readers
from distillery.tokenize.tables import Arrow

if TYPE_CHECKING:
    import pyarrow as pa

Rows = list[dict[str, Any]]
# bytes of text in a span: a process that is ahead of its turn holds the tokens of one, about 2.5 times as many bytes
LARGEST, SMALLEST = 24 << 20, 1 << 20
SPANS = 8  # for each process, so that the last ones end at about the same time


class Span(NamedTuple):
    """Rows of a file that one process takes.

    Attributes:
        first, count: number of the first row in the file, and how many there are.
        piece, skip: the row group or record batch, and how many of its rows come before.
        rows: the rows themselves if they had to be read to be found.
    """

    path: Path
    columns: list[str]
    first: int
    count: int
    piece: int = 0
    skip: int = 0
    rows: Rows | None = None


@dataclass(frozen=True)
class Source:
    """One file of a known kind."""

    path: Path

    def columns(self) -> list[str]:
        """Names of the columns, in the file's order.

        Raises:
            Problem: the file is not readable.
        """
        return self._columns

    @functools.cached_property
    def _columns(self) -> list[str]:
        kind = kind_of(self.path)
        if kind in TEXTS:
            return TEXTS[kind][0](self.path)
        with closing(TABLES[kind](self.path)) as table:
            return table.names

    def rows(self) -> int:
        """How many rows: a table says it, a text is read.

        Raises:
            Problem: the file is not readable.
        """
        if kind_of(self.path) in TEXTS:
            return sum(map(len, self.blocks(self.columns()[:1])))
        with closing(TABLES[kind_of(self.path)](self.path)) as table:
            return sum(piece.rows for piece in table.pieces([]))

    def check(
        self, wanted: list[str], optional: tuple[str, ...] = (), dotted_too: Sequence[str] = ()
    ) -> list[str]:
        """`wanted`, those that the names of `dotted_too` lead into, and those of `optional` that this file has.

        Raises:
            Problem: the file is not readable, or a wanted column is not in it.
        """
        found = self.columns()
        wanted = [*wanted, *(dotted.column(name, found) for name in dotted_too)]
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
        return [*dict.fromkeys([*wanted, *(column for column in optional if column in found)])]

    def spans(self, columns: list[str], processes: int = 1) -> Iterator[Span]:
        """The file in order, divided for so many processes."""
        if (kind := kind_of(self.path)) in TEXTS:
            first = 0
            for rows in TEXTS[kind][1](self.path, columns, BATCH_ROWS):
                yield Span(self.path, columns, first, len(rows), rows=rows)
                first += len(rows)
            return
        with closing(TABLES[kind](self.path)) as table:
            pieces = list(table.pieces(columns))
        total = sum(piece.size for piece in pieces)
        yield from self._divided(columns, pieces, min(max(total // (SPANS * processes), SMALLEST), LARGEST))

    def blocks(self, columns: list[str]) -> Iterator[Rows]:
        """The rows of the whole file."""
        with Reader() as reader:
            for span in self.spans(columns):
                yield from (rows for _, rows in reader.blocks(span))

    def _divided(self, columns: list[str], pieces: list[Piece], size: int) -> Iterator[Span]:
        """Whole pieces where they are small enough, else parts of whole batches."""
        first = 0
        for number, piece in enumerate(pieces):
            parts = min(-(-piece.size // size), -(-piece.rows // BATCH_ROWS))
            rows = BATCH_ROWS * max(-(-piece.rows // (BATCH_ROWS * max(parts, 1))), 1)
            for skip in range(0, piece.rows, rows):
                yield Span(self.path, columns, first + skip, min(rows, piece.rows - skip), number, skip)
            first += piece.rows


class Reader:
    """Reads spans. The last file stays open where it was left, so spans in the order of a file read it once.

    To begin in the middle of a row group it is decoded from its start, which costs a twentieth of tokenizing it.
    """

    def __init__(self) -> None:
        self.table: Table | Arrow | None = None
        self.at: tuple[Path, list[str], int] | None = None
        self.row = 0  # of the piece, where `rest` and then `batches` begin
        self.rest: pa.RecordBatch | None = None
        self.batches: Iterator[pa.RecordBatch] = iter(())

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.batches, self.rest = iter(()), None
        if self.table:
            self.table.close()

    def blocks(self, span: Span) -> Iterator[tuple[int, Rows]]:
        """(number of the first row in the file, rows) of each block of a span.

        Raises:
            Problem: the file is damaged there.
        """
        if span.rows is not None:
            yield span.first, span.rows
            return
        self._go_to(span)
        end = span.skip + span.count
        while self.row < end:
            batch = self.rest if self.rest is not None else next(self.batches, None)
            if batch is None:
                raise damaged(
                    span.path, f"row {span.first + self.row - span.skip}", "fewer rows than announced"
                )
            before, taken = max(span.skip - self.row, 0), min(end - self.row, batch.num_rows)
            self.rest = batch.slice(taken) if taken < batch.num_rows else None
            self.row += taken
            if before < taken:
                yield self._rows(span, batch.slice(before, taken - before))

    def _rows(self, span: Span, batch: pa.RecordBatch) -> tuple[int, Rows]:
        first = span.first + self.row - span.skip - batch.num_rows
        try:
            return first, batch.to_pylist()
        except ValueError as error:  # pyarrow reads any bytes as text, and only Python decodes them
            assert self.table
            where = f"{self.table.place(span.piece)}, rows {first} to {first + batch.num_rows - 1}"
            raise damaged(span.path, where, error) from None

    def _go_to(self, span: Span) -> None:
        at = (span.path, span.columns, span.piece)
        if self.at == at and self.row <= span.skip:
            return
        if self.table is None or self.table.path != span.path:
            self.__exit__()
            self.table = TABLES[kind_of(span.path)](span.path)
        self.at, self.row, self.rest = at, 0, None
        self.batches = self.table.batches(span.piece, span.columns)


def kind_of(path: Path) -> str | None:
    """The ending that says how a file is read, without what says that it is packed; None for an unknown one."""
    if path.suffix not in PACKED:
        return path.suffix if path.suffix in KINDS else None
    inner = Path(path.stem).suffix
    return inner if inner in TEXTS else None


def sources(path: Path) -> list[Source]:
    """The file, or the data files of the directory in the order of their names.

    Raises:
        UsageProblem: nothing to read, or an unknown kind.
        Problem: a directory of two kinds.
    """
    if path.is_file():
        if kind_of(path) is None:
            raise UsageProblem(
                "a file of unknown kind",
                where=path,
                found="".join(path.suffixes) or "no suffix",
                wanted=f"{', '.join(KINDS)}, text also with {' or '.join(PACKED)} behind",
            )
        return [Source(path)]
    if not path.is_dir():
        raise UsageProblem("no such input", where=path, fix="give a file or a directory of files to --input")
    files = [
        each for each in sorted(path.iterdir()) if each.is_file() and each.name[0] != "." and kind_of(each)
    ]
    if not files:
        raise UsageProblem("no data files in the directory", where=path, wanted=", ".join(KINDS))
    source_files.one_format([each.name for each in files], path)
    return [Source(each) for each in files]


TABLES: dict[str, type[Table] | type[Arrow]] = {".parquet": Table, ".arrow": Arrow}
TEXTS: dict[str, tuple[Callable[[Path], list[str]], Callable[[Path, list[str], int], Iterator[Rows]]]] = {
    ".csv": (csv_rows.columns_of, csv_rows.read),
    ".json": (text_readers.json_columns, text_readers.read_json),
    ".jsonl": (text_readers.json_columns, text_readers.read_json),
    ".txt": (text_readers.text_columns, text_readers.read_text),
}
KINDS = (*TABLES, *TEXTS)
