"""The header of a safetensors file, read with distrust: what fetching checks and converting reads are the same.

Format: https://huggingface.co/docs/safetensors#format (u64 length, JSON header, tensors without gaps).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery import json_files

LARGEST = 100_000_000  # bytes of a header, the limit of the safetensors library
WIDEST = 2**63  # elements along one axis, and bytes of a file


@dataclass(frozen=True)
class Entry:
    """A tensor: its type in the format's words, its shape, and from which to which byte of the file it lies."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read(path: Path) -> dict[str, Entry]:
    """{tensor: entry} in the order of their bytes, which fill the file from the header's end to its own.

    Raises:
        ValueError: no header, one that describes no tensors, gaps, overlaps, a file that is cut or too long.
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or not 2 <= length <= min(LARGEST, size - 8):
            raise ValueError(f"a header of {length} bytes in a file of {size}")
        header = json_files.loads(stream.read(length))
    if not isinstance(header, dict):
        raise ValueError("a header that describes no tensors")
    entries = {name: _entry(name, said) for name, said in header.items() if name != "__metadata__"}
    begin = end = 8 + length
    found = {}
    for name, one in sorted(entries.items(), key=lambda item: (item[1].start, item[1].end, item[0])):
        if begin + one.start != end or one.end < one.start:
            raise ValueError(
                f"tensor {name} lies at {one.start}..{one.end}, the one before ends at {end - begin}"
            )
        end = begin + one.end
        found[name] = Entry(one.dtype, one.shape, begin + one.start, end)
    if end != size:
        what = "cut off" if size < end else "longer"
        raise ValueError(f"{what}: {size} bytes where the header describes {end} bytes")
    return found


def _entry(name: str, said: Any) -> Entry:
    said = said if isinstance(said, dict) else {}
    dtype, shape, offsets = (said.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not (isinstance(dtype, str) and _counts(shape) and _counts(offsets) and len(offsets) == 2):
        raise ValueError(f"tensor {name} has no type, no shape or no two offsets")
    return Entry(dtype, tuple(shape), *offsets)


def _counts(listed: Any) -> bool:
    """Whether it is a list of whole numbers that can be sizes."""
    return isinstance(listed, list) and all(type(one) is int and 0 <= one < WIDEST for one in listed)
