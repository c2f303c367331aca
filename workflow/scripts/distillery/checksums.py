"""CRC-32 at the speed of memory, and of what is read in pieces."""

from __future__ import annotations

import os
import threading
from pathlib import Path

try:
    from isal.isal_zlib import crc32, crc32_combine  # SIMD: 4 to 8 times zlib's speed
except ImportError:  # no wheel for this machine: the standard library computes the same
    from zlib import crc32

    crc32_combine = None

CHUNK = 1 << 20


def of_file(path: Path, offset: int, size: int) -> int:
    """CRC-32 of a span of a file (of what there is of it)."""
    crc, buffer = 0, bytearray(min(size, CHUNK))
    fd = os.open(path, os.O_RDONLY)
    try:
        while size:
            view = memoryview(buffer)[: min(size, CHUNK)]
            done = os.preadv(fd, [view], offset)
            if not done:
                break
            crc = crc32(view[:done], crc)
            offset, size = offset + done, size - done
    finally:
        os.close(fd)
    return crc


class Seen:
    """The CRC-32 of spans of files as they were read, by any threads, so that nobody reads them again for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: dict[tuple[Path, int], tuple[int, int]] = {}  # (file, first byte): bytes, CRC-32
        self._ends: dict[tuple[Path, int, int], int] = {}  # (file, tensor's first byte, end): first byte
        self._begun: set[tuple[Path, int]] = set()  # where something was read from

    def add(self, path: Path, tensor: int, offset: int, data: memoryview) -> None:
        """Bytes that were read at `offset`, of a tensor that begins at `tensor`: what follows one another becomes one span."""
        if crc32_combine is None:
            return
        with self._lock:
            if (path, offset) in self._begun:
                return  # several ranks hold it: a second span from here would take the first one's place
            self._begun.add((path, offset))
        size, crc = len(data), crc32(data)
        with self._lock:
            first = self._ends.pop((path, tensor, offset), offset)
            if first != offset:
                before, old = self._spans[path, first]
                self._spans[path, first] = before + size, crc32_combine(old, crc, size)
            else:
                self._spans[path, first] = size, crc
            self._ends[path, tensor, offset + size] = first

    def crc(self, path: Path, offset: int, size: int) -> int | None:
        """CRC-32 of a span of a file, if all of it was read, in pieces none of which goes beyond it."""
        found, end = 0, offset + size
        while offset < end and (path, offset) in self._spans:
            count, crc = self._spans[path, offset]
            found, offset = crc32_combine(found, crc, count), offset + count
        return found if offset == end else None


__all__ = ["Seen", "crc32", "of_file"]
