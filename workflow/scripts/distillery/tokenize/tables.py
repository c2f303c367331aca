"""Record batches of .arrow (stream or file), which can be read from the middle as parquet's row groups can."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from distillery.parquet_files import BATCH_ROWS, Piece, damaged

if TYPE_CHECKING:
    import pyarrow as pa


class Arrow:
    """Pieces are record batches, of an IPC file or of an IPC stream (as `datasets` caches are)."""

    def __init__(self, path: Path) -> None:
        """Map the file, and find out whether it is an IPC file or a stream.

        Raises:
            Problem: neither.
        """
        import pyarrow as pa

        self.path = _full(path)
        with path.open("rb") as stream:
            self.map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        self.stream = pa.BufferReader(self.map)
        self.is_file = self.stream.read(6) == b"ARROW1"
        self.columns: list[str] | None = None
        self._begin()
        self.names: list[str] = self.reader.schema.names

    def pieces(self, columns: list[str]) -> Iterator[Piece]:
        self._choose(columns)
        number = 0
        while (batch := self._get(number)) is not None:
            yield Piece(batch.num_rows, batch.select(columns).nbytes)
            number += 1

    def batches(self, piece: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Slices of BATCH_ROWS rows of a record batch."""
        self._choose(columns)
        if (batch := self._get(piece)) is not None:
            chosen = batch.select(columns)
            for start in range(0, chosen.num_rows, BATCH_ROWS):
                yield chosen.slice(start, BATCH_ROWS)
                # pages that were read count as this process's memory until they are given back
                self.map.madvise(mmap.MADV_DONTNEED)

    def place(self, piece: int) -> str:
        return f"record batch {piece}"

    def close(self) -> None:
        self.stream.close()

    def _choose(self, columns: list[str]) -> None:
        """Decode these columns alone: a compressed batch is decompressed column by column."""
        if columns != self.columns:
            self.columns = columns
            self._begin()

    def _begin(self) -> None:
        import pyarrow as pa

        self.stream.seek(0)
        self.next = 0
        wanted = self.columns and [self.names.index(column) for column in self.columns]
        options = pa.ipc.IpcReadOptions(included_fields=wanted, use_threads=False)
        try:
            self.reader = (pa.ipc.open_file if self.is_file else pa.ipc.open_stream)(
                self.stream, options=options
            )
        except _errors() as error:
            raise damaged(self.path, "the schema", error) from None

    def _get(self, number: int) -> pa.RecordBatch | None:
        """The record batch, or None past the end. A stream is walked up to it; nothing is copied on the way."""
        if number < self.next and not self.is_file:
            self._begin()
        try:
            if self.is_file:
                return self.reader.get_batch(number) if number < self.reader.num_record_batches else None
            while self.next < number:
                self.reader.read_next_batch()
                self.next += 1
            batch = self.reader.read_next_batch()
        except StopIteration:
            return None
        except _errors() as error:
            raise damaged(self.path, self.place(number if self.is_file else self.next), error) from None
        self.next += 1
        return batch


def _full(path: Path) -> Path:
    if path.stat().st_size == 0:
        raise damaged(path, "the whole file", "0 bytes")
    return path


def _errors() -> tuple[type[BaseException], ...]:
    """What pyarrow raises on a damaged file, or on one whose codec it does not have."""
    import pyarrow as pa

    return (pa.ArrowException, OSError, ValueError)
