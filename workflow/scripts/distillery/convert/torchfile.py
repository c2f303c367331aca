"""The .pt container: a zip of stored records, each tensor's bytes at a multiple of 64, with a pickle that names them.

Writing is in two steps, so that tensors can be streamed into their places from anywhere, by many threads:
`Container(objects)` knows every byte's place, and `finish(fd, crcs)` writes all that is not tensor bytes.
Format: torch.serialization's zip (records data.pkl, .format_version, .storage_alignment, byteorder, data/N,
version); zip and its 64-bit fields as in PKWARE's APPNOTE 6.3, sections 4.3 to 4.5.
"""

from __future__ import annotations

import math
import os
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery import zips
from distillery.convert import pickling, unpickling
from distillery.convert.dtypes import DType, of
from distillery.problems import Problem

ROOT = "model_optim_rng"
ALIGNMENT = 64
FULL = 0xFFFFFFFF  # "see the 64-bit field"


@dataclass(frozen=True)
class Blank:
    """A tensor that is to be written: a leaf of the objects given to `Container`."""

    shape: tuple[int, ...]
    dtype: DType

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Stored:
    """A tensor in a file: rows from `offset` on, without gaps, little endian."""

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: DType

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class _Record:
    name: bytes
    size: int
    header: int  # offset of the local header
    start: int  # offset of the payload
    data: bytes | None  # None: a tensor


class Container:
    """The plan of one .pt file.

    Args:
        objects: what torch.load shall return; plain values with `Blank` leaves.

    Attributes:
        offsets: where the bytes of each Blank go, in the order they were met.
        size: bytes of the whole file.
    """

    def __init__(self, objects: Any) -> None:
        self.blanks: list[Blank] = []
        pickled = pickling.dump(self._entries(objects))
        small = {
            "data.pkl": pickled,
            ".format_version": b"1",
            ".storage_alignment": b"64",
            "byteorder": b"little",
        }
        records = [(name, len(data), data) for name, data in small.items()]
        records += [(f"data/{i}", blank.bytes, None) for i, blank in enumerate(self.blanks)]
        records.append(("version", 2, b"3\n"))
        self.records: list[_Record] = []
        end = 0
        for name, size, data in records:
            path = f"{ROOT}/{name}".encode()
            bare = end + 30 + len(path) + (20 if size >= FULL else 0) + 4
            start = -(-bare // ALIGNMENT) * ALIGNMENT
            self.records.append(_Record(path, size, end, start, data))
            end = start + size
        self._central = end
        self.offsets = [record.start for record in self.records if record.data is None]
        self.size = end + sum(len(_central_entry(record, 0)) for record in self.records) + len(self._end())

    def _entries(self, value: Any) -> Any:
        """`objects` with every Blank numbered; the types of dicts and Namespaces are kept."""
        if isinstance(value, Blank):
            self.blanks.append(value)
            return pickling.TensorEntry(str(len(self.blanks) - 1), value.dtype.name, value.shape)
        if isinstance(value, dict):
            return type(value)((key, self._entries(item)) for key, item in value.items())
        return value

    def finish(self, fd: int, crcs: list[int]) -> None:
        """Write headers, small records and the directory around the tensors, whose CRC-32s are given."""
        remaining = iter(crcs)
        central = []
        for record in self.records:
            crc = next(remaining) if record.data is None else zlib.crc32(record.data)
            header = _local_header(record, crc) + (record.data or b"")
            write_at(fd, header, record.header)
            central.append(_central_entry(record, crc))
        write_at(fd, b"".join(central) + self._end(), self._central)

    def _end(self) -> bytes:
        count, start = len(self.records), self._central
        size = sum(len(_central_entry(record, 0)) for record in self.records)
        large = b""
        if start >= FULL or count >= 0xFFFF:
            large = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
            large += struct.pack("<4sIQI", b"PK\6\7", 0, start + size, 1)
        short = min(count, 0xFFFF)
        return large + struct.pack(
            "<4sHHHHIIH", b"PK\5\6", 0, 0, short, short, min(size, FULL), min(start, FULL), 0
        )


# version 4.5 needed, no flags, stored, 1980-01-01 00:00: the same objects give the same bytes
_FIXED = (45, 0, 0, 0, 33)


def _local_header(record: _Record, crc: int) -> bytes:
    large = record.size >= FULL
    extra = struct.pack("<HHQQ", 1, 16, record.size, record.size) if large else b""
    bare = record.header + 30 + len(record.name) + len(extra) + 4
    pad = record.start - bare
    extra += struct.pack("<2sH", b"FB", pad) + b"Z" * pad
    size = FULL if large else record.size
    return (
        struct.pack("<4sHHHHHIIIHH", b"PK\3\4", *_FIXED, crc, size, size, len(record.name), len(extra))
        + record.name
        + extra
    )


def _central_entry(record: _Record, crc: int) -> bytes:
    large = [record.size, record.size] if record.size >= FULL else []
    if record.header >= FULL:
        large.append(record.header)
    extra = struct.pack(f"<HH{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    size, header = min(record.size, FULL), min(record.header, FULL)
    lengths = (len(record.name), len(extra), 0, 0, 0, 0)
    return (
        struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 45, *_FIXED, crc, size, size, *lengths, header)
        + record.name
        + extra
    )


@dataclass(frozen=True)
class Contents:
    """A .pt file's top-level dict, the model's tensors as `Stored`; and (offset, bytes, CRC-32) of its storages."""

    objects: dict[str, Any]
    storages: list[tuple[int, int, int]]


def read(path: Path) -> Contents:
    """The objects of a .pt file; tensors stay in the file. Never runs what the file names.

    Raises:
        Problem: not a torch zip file, truncated, compressed, big endian, or a pickle outside the allow-list.
    """
    what = "not a whole .pt file of torch 1.6 or later"
    fix = "copy or convert it again; a file of an older torch must be saved anew with torch.save"
    with zips.opened(path, what, fix) as archive, path.open("rb") as raw:
        records = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        if "data.pkl" not in records:
            raise zipfile.BadZipFile("it has no data.pkl")
        _place(path, raw, records["data.pkl"])  # stored as it is: it has no more bytes than the file
        pickled = archive.read(records["data.pkl"])
        if "byteorder" in records and zips.small(archive, records["byteorder"], 100) != b"little":
            raise Problem("the checkpoint was written on a big-endian machine", where=path)
        places = {
            name.removeprefix("data/"): _place(path, raw, info)
            for name, info in records.items()
            if name.startswith("data/")
        }
    objects = unpickling.load(pickled, path)
    if not isinstance(objects, dict):
        raise Problem("not a checkpoint: its pickle holds no dict", where=path, found=type(objects).__name__)
    try:
        for key in [key for key in objects if str(key).startswith("model")]:
            objects[key] = {name: _stored(value, path, name, places) for name, value in objects[key].items()}
    except (AttributeError, TypeError, ValueError) as error:  # no dict, no names, no whole numbers
        what = "the checkpoint's tensors are not described as Megatron describes them"
        raise Problem(
            what, where=f"{path}, {key}", found=repr(error), fix="copy or convert it again"
        ) from None
    return Contents(objects, sorted(places.values()))


def _place(path: Path, raw: Any, info: zipfile.ZipInfo) -> tuple[int, int, int]:
    raw.seek(info.header_offset)
    header = raw.read(30)
    name, extra = struct.unpack("<HH", header[26:30])
    start = info.header_offset + 30 + name + extra
    if info.compress_type != zipfile.ZIP_STORED or start + info.file_size > path.stat().st_size:
        raise Problem(
            "a record is compressed or cut off",
            where=f"{path}, {info.filename}",
            found=f"{info.compress_size} bytes stored for {info.file_size}",
            fix="copy or convert the file again",
        )
    return start, info.file_size, info.CRC


def _stored(value: Any, path: Path, name: str, places: dict[str, tuple[int, int, int]]) -> Any:
    """A tensor's place in the file; `_extra_state` (None, bytes or an object) is nothing to us."""
    if name.endswith("_extra_state"):
        return None
    kind = value.dtype if isinstance(value, pickling.TensorEntry) else value
    dtype = of(kind, f"{path}, {name}")
    dense = [math.prod(value.shape[axis + 1 :]) for axis in range(len(value.shape))]
    strides = zip(value.stride or dense, dense, value.shape, strict=True)
    start, size, _ = places.get(value.key, (0, -1, 0))
    stored = Stored(path, start + value.start * dtype.itemsize, value.shape, dtype)
    if any(s != d and n > 1 for s, d, n in strides) or stored.offset + stored.bytes > start + size:
        raise Problem(
            "a tensor does not lie in one piece in its storage",
            where=f"{path}, {name} (record data/{value.key})",
            found=f"shape {value.shape}, stride {value.stride}, {size} bytes",
            fix="save the checkpoint with contiguous tensors",
        )
    return stored


def write_at(fd: int, data: bytes | memoryview, offset: int) -> None:
    """pwrite until all bytes are written."""
    view = memoryview(data).cast("B")
    while view:
        done = os.pwrite(fd, view, offset)
        offset, view = offset + done, view[done:]
