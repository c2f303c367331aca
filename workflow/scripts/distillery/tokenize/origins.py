"""rows.parquet: shard, row number and uuid of each sequence of the first field; lists of them where rows are packed.

Rows are written as they come, GROUP at a time, so that memory does not grow with them and the bytes do not depend on
how they were divided among processes.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow.parquet as pq

GROUP = 1 << 16
Row = tuple[str, int, str | None]


class Origins:
    """`add` rows in order, then `close`; then `pack` if they were laid into sequences."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: list[Row] = []
        self._writer: pq.ParquetWriter | None = None

    def add(self, rows: Iterable[Row]) -> None:
        """(shard, row number in it, uuid) of each row that was kept."""
        self._waiting += rows
        while len(self._waiting) >= GROUP:
            self._write()

    def close(self) -> None:
        """Write what waits; a file without rows is one too."""
        if self._waiting or self._writer is None:
            self._write()
        assert self._writer
        self._writer.close()

    def abandon(self) -> None:
        """Let go of a file that will be removed."""
        if self._writer is not None:
            with contextlib.suppress(OSError):  # the disk may be full
                self._writer.close()

    def pack(self, groups: list[list[int]]) -> None:
        """Lay rows together: `groups` has the numbers, among the rows added, of those in each sequence."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        from distillery import arrow_arrays

        loose = pq.ParquetFile(self.path).read()
        order = arrow_arrays.array([number for group in groups for number in group], pa.int64())
        ends = arrow_arrays.array([*itertools.accumulate(map(len, groups), initial=0)], pa.int32())
        laid = {
            name: pa.ListArray.from_arrays(ends, loose[name].take(order).combine_chunks())
            for name in loose.column_names
        }
        pq.write_table(pa.table(laid), self.path, compression="zstd")

    def _write(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        from distillery import arrow_arrays

        schema = pa.schema({"shard": pa.string(), "row": pa.int64(), "uuid": pa.string()})
        if self._writer is None:  # not before processes are forked: they would hold it too
            self._writer = pq.ParquetWriter(self.path, schema, compression="zstd")
        now, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
        columns = zip(*now, strict=True) if now else ((), (), ())
        arrays = [
            arrow_arrays.array(values, kind) for values, kind in zip(columns, schema.types, strict=True)
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=GROUP)
