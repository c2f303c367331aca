"""What a parquet file says of itself, read without pyarrow: its columns' chunks, and what their pages would unpack to.

pyarrow ends the process (std::terminate) when the footer's statistics are damaged and its metadata is looked at; and it
unpacks a page before anything else is known of it.
Format: parquet-format's parquet.thrift (FileMetaData, RowGroup, ColumnMetaData, PageHeader; fields by their numbers) and
Encodings.md (a dictionary's values are PLAIN: each has its length before it, in four bytes).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from distillery import thrift_compact

HEADER_BYTES = 1 << 16  # a page's header has a few dozen, and two values of the column as statistics
BYTE_ARRAY, DICTIONARY_PAGE = 6, 2  # Type.BYTE_ARRAY, PageType.DICTIONARY_PAGE
UNCOMPRESSED = 0
# CompressionCodec: pyarrow's names of those that need no framing
CODECS = {1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}
COUNTED = 1 << 16  # values of a dictionary whose lengths are looked at; what is behind them counts as one


class Chunk(NamedTuple):
    """A column of a row group: its top-level name, kind, codec, values, bytes unpacked, and the span where it lies."""

    name: str
    kind: int
    codec: int
    values: int
    unpacked: int
    begin: int
    end: int


class Page(NamedTuple):
    """A page: its kind, bytes unpacked, and the span where its packed bytes lie."""

    kind: int
    unpacked: int
    begin: int
    end: int


class Group(NamedTuple):
    """A row group."""

    rows: int
    chunks: list[Chunk]


def groups(path: Path) -> list[Group]:
    """The row groups of a file, as its footer has them.

    Raises:
        ValueError: no parquet file, or a damaged footer.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        tail = os.pread(stream.fileno(), 8, max(size - 8, 0))
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != b"PAR1" or length > size - 12:
            raise ValueError(f"{size} bytes, which do not end as parquet's do")
        footer = thrift_compact.Reader(os.pread(stream.fileno(), length, size - 8 - length)).struct()
    try:
        return [
            Group(_whole(group[3]), [_chunk(column[3], size) for column in group[1]]) for group in footer[4]
        ]
    except (KeyError, TypeError, IndexError, AttributeError):  # fields that are not there, or of other kinds
        raise ValueError("a damaged footer") from None


def _chunk(column: dict[int, Any], size: int) -> Chunk:
    # of the first data page and of the dictionary; 0 for none: a column without rows has a dictionary at most
    offsets = [_whole(column[field]) for field in (9, 11) if field in column]
    begin = min(filter(None, offsets), default=4)
    end = begin + _whole(column[7])
    if not 4 <= begin <= end <= size:
        raise ValueError("a column that lies beyond the file")
    numbers = (_whole(column[field]) for field in (1, 4, 5, 6))
    return Chunk(column[3][0].decode(), *numbers, begin, end)


def _whole(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError("a damaged footer")
    return value


def rows_at_once(path: Path, group: Group, columns: list[str] | None, most: int, rows: int) -> int:
    """How many rows of a row group, at most `rows`, may be read at once.

    Args:
        columns: top-level names; None stands for all.
        most: bytes that they may take.

    Raises:
        ValueError: a page is damaged, or would alone take more than `most`.
    """
    with path.open("rb") as stream:
        for chunk in group.chunks:
            if columns is not None and chunk.name not in columns:
                continue
            longest = 0  # bytes of one value of a dictionary, which may stand in each row
            for page in _pages(stream.fileno(), chunk):
                if page.unpacked > most:
                    raise ValueError(f"column {chunk.name}: a page would take {page.unpacked} bytes")
                if chunk.kind == BYTE_ARRAY and page.kind == DICTIONARY_PAGE:
                    longest = max(longest, _longest(stream.fileno(), chunk, page))
            if longest * chunk.values > most:
                each = longest * -(-chunk.values // max(group.rows, 1))
                if each > most:
                    raise ValueError(f"column {chunk.name}: a row may take {each} bytes")
                rows = max(min(rows, most // 4 // each), 1)
    return rows


def _pages(fd: int, chunk: Chunk) -> Iterator[Page]:
    at = chunk.begin
    while at < chunk.end:
        header = thrift_compact.Reader(os.pread(fd, min(HEADER_BYTES, chunk.end - at), at))
        fields = header.struct()
        try:
            kind, unpacked, packed = (_whole(fields[number]) for number in (1, 2, 3))
        except (KeyError, ValueError):
            raise ValueError(f"column {chunk.name}: a damaged page header") from None
        at += header.at + packed
        if at > chunk.end:
            raise ValueError(f"column {chunk.name}: a page that ends beyond its column")
        yield Page(kind, unpacked, at - packed, at)


def _longest(fd: int, chunk: Chunk, page: Page) -> int:
    """Bytes of a dictionary's longest value, or more where it cannot be told."""
    if chunk.codec != UNCOMPRESSED and chunk.codec not in CODECS:
        return page.unpacked
    content = os.pread(fd, page.end - page.begin, page.begin)
    if chunk.codec != UNCOMPRESSED:
        import pyarrow as pa

        content = memoryview(pa.Codec(CODECS[chunk.codec]).decompress(content, page.unpacked))
    at = longest = 0
    for _ in range(COUNTED):
        if at >= len(content):
            break
        length = int.from_bytes(content[at : at + 4], "little")
        longest, at = max(longest, length), at + 4 + length
    if at > len(content):
        raise ValueError(f"column {chunk.name}: a damaged dictionary")
    return max(longest, len(content) - at)
