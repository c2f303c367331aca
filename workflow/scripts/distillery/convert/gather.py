"""The bytes of any tensor of any layout, gathered from a source in a scratch buffer that fits a core's cache.

A tensor passes through one buffer of 1 MiB per thread, so anonymous memory does not grow with the model.
Contiguous rows are read with pread (the kernel copies them, no page faults), columns from a mapping.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from distillery.checksums import Seen
from distillery.convert.dtypes import DType
from distillery.convert.slices import Slice
from distillery.convert.torchfile import Stored
from distillery.convert.weight_sources import Block, Source
from distillery.problems import Problem

SCRATCH = 1 << 20
NARROW = 1 << 18  # of rows that are put beside others: a page fault for each of their pages would take longer


@dataclass(frozen=True)
class Part:
    """In a band of rows: `width` columns from column `column` on come from rows of `stored` from `row` on."""

    column: int
    width: int
    stored: Stored
    row: int
    left: int


def bands(piece: Slice, blocks: dict[str, list[Block]]) -> Iterator[tuple[int, list[Part]]]:
    """The rows of a tensor from top to bottom, as (number of rows, where they come from, left to right)."""
    for s in piece.segments:
        touching = [
            b
            for b in blocks[s.name]
            if b.top < s.bottom and s.top < b.bottom and b.left < s.right and s.left < b.right
        ]
        cuts = sorted(
            {s.top, s.bottom, *(c for b in touching for c in (b.top, b.bottom) if s.top < c < s.bottom)}
        )
        for top, bottom in zip(cuts, cuts[1:], strict=False):
            parts = [
                Part(
                    max(s.left, b.left) - s.left,
                    min(s.right, b.right) - max(s.left, b.left),
                    b.stored,
                    b.row + top - b.top,
                    max(s.left, b.left) - b.left,
                )
                for b in sorted(touching, key=lambda b: b.left)
                if b.top <= top and bottom <= b.bottom
            ]
            if sum(part.width for part in parts) != s.right - s.left:
                raise ValueError(f"{s.name}: rows {top} to {bottom} are covered {len(parts)} times")
            yield bottom - top, parts


@dataclass
class Reader:
    """Open files and mappings of a source, shared by threads; `seen` has the checksums of what was read of them."""

    seen: Seen = field(default_factory=Seen)
    _files: dict[Path, int] = field(default_factory=dict)
    _maps: dict[Path, np.ndarray] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self._files.values():
            os.close(fd)
        self._files.clear()

    def file(self, path: Path) -> int:
        with self._lock:
            if path not in self._files:
                self._files[path] = os.open(path, os.O_RDONLY)
            return self._files[path]

    def mapped(self, stored: Stored) -> np.ndarray:
        """The tensor as [rows, bytes of a row], read-only, in the file."""
        fd = self.file(stored.path)
        with self._lock:
            if stored.path not in self._maps:
                self._maps[stored.path] = np.frombuffer(mmap.mmap(fd, 0, prot=mmap.PROT_READ), np.uint8)
            raw = self._maps[stored.path]
        return raw[stored.offset : stored.offset + stored.bytes].reshape(stored.shape[0], -1)

    def fill(self, target: np.ndarray, part: Part, first: int) -> None:
        """Copy a part's rows from `first` on into `target` [rows, bytes of the whole band's row]."""
        size, stored = part.stored.dtype.itemsize, part.stored
        row_bytes = stored.bytes // stored.shape[0]
        if part.width * size == row_bytes == target.shape[1]:
            self._read(stored, (part.row + first) * row_bytes, target)
            return
        if part.width * size == row_bytes <= NARROW:
            left, step = part.column * size, NARROW // row_bytes
            for top in range(0, target.shape[0], step):
                some = target[top : top + step, left : left + row_bytes]
                rows = _scratch(NARROW)[: some.size].reshape(some.shape)
                self._read(stored, (part.row + first + top) * row_bytes, rows)
                some[:] = rows
            return
        rows = slice(part.row + first, part.row + first + target.shape[0])
        source = self.mapped(stored)[rows, part.left * size : (part.left + part.width) * size]
        target[:, part.column * size : (part.column + part.width) * size] = source

    def _read(self, stored: Stored, start: int, target: np.ndarray) -> None:
        """Fill `target` with the tensor's bytes from its `start` on."""
        offset, whole = stored.offset + start, memoryview(target).cast("B")
        view = whole
        while view:
            done = os.preadv(self.file(stored.path), [view], offset)
            if not done:
                raise Problem("a weight file became shorter while it was read", where=stored.path)
            offset, view = offset + done, view[done:]
        self.seen.add(stored.path, stored.offset, stored.offset + start, whole)


_own = threading.local()


def _scratch(size: int) -> np.ndarray:
    """This thread's buffer of a size."""
    if not hasattr(_own, "buffers"):
        _own.buffers = {}
    if size not in _own.buffers:
        _own.buffers[size] = np.empty(size, np.uint8)
    return _own.buffers[size]


def chunks(piece: Slice, source: Source, reader: Reader, dtype: DType) -> Iterator[np.ndarray]:
    """The bytes of a tensor as `dtype`, in order, in a buffer that the next chunk overwrites.

    Raises:
        Problem: a weight does not fit the narrower type.
    """
    columns = piece.shape[1] if len(piece.shape) > 1 else 1
    buffer, used, held = _scratch(SCRATCH), 0, source.dtype
    for rows, parts in bands(piece, source.blocks):
        if parts[0].stored.dtype != held:  # of its parts, which a layout's ranks hold, all have one type
            if used:
                yield _cast(buffer[:used], held, dtype, piece)
            used, held = 0, parts[0].stored.dtype
        width = columns * held.itemsize
        if buffer.size < width:
            buffer = np.empty(width, np.uint8)
        done = 0
        while done < rows:
            count = min(rows - done, (buffer.size - used) // width)
            if count == 0:
                yield _cast(buffer[:used], held, dtype, piece)
                used = 0
                continue
            target = buffer[used : used + count * width].reshape(count, width)
            for part in parts:
                reader.fill(target, part, done)
            used += count * width
            done += count
    yield _cast(buffer[:used], held, dtype, piece)


def _cast(raw: np.ndarray, source: DType, target: DType, piece: Slice) -> np.ndarray:
    if source == target:
        return raw
    values = raw.view(source.numpy)
    with np.errstate(over="ignore"):
        cast = values.astype(target.numpy)
    if not np.array_equal(np.isfinite(cast), np.isfinite(values)):
        raise Problem(
            "a weight is too large for the type asked for",
            where=piece.segments[0].name,
            found=f"{np.abs(values[~np.isfinite(cast)].astype(np.float32)).max():g} in {source.name}",
            wanted=f"at most {65504 if target.name == 'fp16' else 3.39e38:g}, the largest {target.name}",
            fix=f"--params-dtype {source.name}",
        )
    return cast.view(np.uint8)
