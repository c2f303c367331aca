"""Parquet read with distrust: a damaged file, or one that would unpack to far more than it is, is a Problem with its name.

    for batch in parquet_files.batches(path, ["uuid", "problem"]): ...
    rows = parquet_files.rows(path)               # a small file as dicts

A few kilobytes can hold gigabytes: one packed page, a dictionary whose one long entry stands in every row, rows without
content. What the footer and the pages' own headers declare is therefore held against the file's size before a page is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from distillery import parquet_pages
from distillery.problems import Problem, first_line

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 64
# bytes that a page or a row, and all rows together, may take besides four times the file's own
SPARE, SPARE_ROWS = 16 << 20, 64 << 20  # pyarrow needs about ten times a page's bytes to read it
ROWS_A_BYTE = 64  # more rows than that have no content


class Piece(NamedTuple):
    """Rows that are read from their start: how many, and about how many bytes the wanted columns have in memory."""

    rows: int
    size: int


class Table:
    """An open file whose footer was read; it is closed by whoever opened it.

    Attributes:
        file: pyarrow's.
        groups: the row groups, as parquet_pages reads them.
        names: of the columns.
    """

    def __init__(self, path: Path) -> None:
        """Read the footer.

        Raises:
            Problem: not a whole parquet file, or one that declares more rows than it can hold.
            OSError: there is no such file.
        """
        import pyarrow.parquet as pq

        self.path, size = path, path.stat().st_size
        with named(path, "the footer"):
            self.groups = parquet_pages.groups(path)
            total = sum(group.rows for group in self.groups)
            if total > ROWS_A_BYTE * size:
                raise ValueError(f"{total} rows in {size} bytes")
            # pages go through a buffer: memory does not grow with a row group's size
            self.file = pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
            self.names: list[str] = self.file.schema_arrow.names
            if self.file.metadata.num_rows != total:
                raise ValueError(f"{self.file.metadata.num_rows} rows, and {total} in its row groups")

    def pieces(self, columns: list[str]) -> Iterator[Piece]:
        """The row groups."""
        for group in self.groups:
            yield Piece(group.rows, sum(chunk.unpacked for chunk in group.chunks if chunk.name in columns))

    def batches(self, group: int, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of one row group, in batches of at most BATCH_ROWS rows.

        Raises:
            Problem: a page is damaged, or declares more than four times the file's bytes and SPARE.
        """
        with named(self.path, self.place(group)):
            most = 4 * self.path.stat().st_size + SPARE
            count = parquet_pages.rows_at_once(self.path, self.groups[group], columns, most, BATCH_ROWS)
            yield from self.file.iter_batches(count, row_groups=[group], columns=columns, use_threads=False)

    def place(self, group: int) -> str:
        """How a row group is called in a message."""
        return f"row group {group} of {len(self.groups)}"

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def batches(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """All rows, in batches of bounded memory.

    Raises:
        Problem: as `Table`, and where a page is damaged or a column is not there.
    """
    with closing(Table(path)) as table:
        for group in range(len(table.groups)):
            yield from table.batches(group, columns)


def rows(path: Path, columns: list[str] | None = None) -> list[dict[str, Any]]:
    """The rows of a file that is small enough for memory.

    Raises:
        Problem: as `each_row`.
    """
    return list(each_row(path, columns))


def each_row(path: Path, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of such a file, one after the other.

    Raises:
        Problem: as `batches`; or the rows take more than four times the file's bytes and SPARE_ROWS.
    """
    most, read = 4 * path.stat().st_size + SPARE_ROWS, 0
    for batch in batches(path, columns):
        most -= batch.nbytes
        if most < 0:
            raise damaged(path, f"row {read}", "its rows take many times the file's own bytes")
        with named(path, f"rows {read} to {read + batch.num_rows - 1}"):
            rows = batch.to_pylist()
        read += len(rows)
        yield from rows


@contextmanager
def named(path: Path, where: str) -> Iterator[None]:
    """Turn what pyarrow raises on a damaged file, or on one whose codec it lacks, into a Problem that names the place."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's, not pyarrow's
            raise
        raise damaged(path, where, error) from None


def damaged(path: Path, where: str, cause: object) -> Problem:
    """What to say of a file that cannot be read."""
    kind = path.suffix[1:] or "parquet"
    return Problem(
        f"a {kind} file that cannot be read",
        where=f"{path}, {where}",
        found=first_line(cause),
        wanted=f"a whole {kind} file",
        fix="fetch or make the file again",
    )
