"""Questions of the rows that a selection keeps: a later dataset of the same mix is compared with them.

A parquet file with a line for each row: `row`, its folder, file and number, and `words`, as they are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from distillery import arrow_arrays, digests, parquet_files

COLUMNS = ["row", "words"]


def write(path: Path, kept: Sequence[tuple[str, str]]) -> None:
    """Write (name of the row, its question's words with spaces between) of each, and the file's digest."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = zip(*kept, strict=True) if kept else ((), ())
    arrays = [arrow_arrays.array(values, pa.string()) for values in columns]
    with digests.atomic(path) as partial:
        pq.write_table(pa.Table.from_arrays(arrays, names=COLUMNS), partial, compression="zstd")


def each(path: Path) -> Iterator[tuple[str, list[str]]]:
    """(name of the row, its question's words) of each row of such a file.

    Raises:
        Problem: it is not as it was written, or no such file.
    """
    digests.check_file(path)
    for row in parquet_files.each_row(path, COLUMNS):
        yield row["row"], row["words"].split(" ")
