"""Structures of Thrift's compact protocol as plain values: {field's number: value}, bounded by the bytes they lie in.

Format: thrift-compact-protocol.md of Apache Thrift. Maps are left out: no structure that is read here has one.
"""

from __future__ import annotations

import struct
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, _, STRUCT = range(1, 13)
DEEPEST = 20  # levels; parquet's footer has eight


class Reader:
    """Reads structures from `data`, one after another; `at` is where the next begins."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """The next structure: whole numbers, floats, truth values, bytes, lists and further structures.

        Raises:
            ValueError: damaged, or it ends beyond the data.
        """
        if depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST} levels")
        found: dict[int, Any] = {}
        field = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            field = field + step if step else self._zigzag()
            found[field] = kind == TRUE if kind in (TRUE, FALSE) else self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (I16, I32, I64):
            return self._zigzag()
        if kind == BINARY:
            return self._bytes(self._varint())
        if kind == STRUCT:
            return self.struct(depth + 1)
        if kind in (LIST, SET):
            head = self._byte()
            count = head >> 4 if head >> 4 != 15 else self._varint()
            if count > len(self.data) - self.at:  # each takes a byte at least
                raise ValueError(f"{count} elements in {len(self.data) - self.at} bytes")
            return [self._value(head & 15, depth + 1) for _ in range(count)]
        if kind == DOUBLE:
            return struct.unpack("<d", self._bytes(8))[0]
        if kind in (TRUE, FALSE, BYTE):  # of a list: a truth value is a byte there
            return self._byte()
        raise ValueError(f"a value of unknown kind {kind}")

    def _bytes(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise ValueError(f"{count} bytes where {len(self.data) - self.at} are left")
        self.at += count
        return self.data[self.at - count : self.at]

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128:
            value |= (byte & 127) << shift
            shift += 7
            if shift > 63:
                raise ValueError("a number of more than 64 bits")
        return value | byte << shift

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
