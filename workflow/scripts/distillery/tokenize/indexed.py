"""Megatron's indexed dataset: a .bin of concatenated sequences and an .idx that says where each begins.

    <prefix>_packed_<field>_document.bin   int32 little-endian, field = input_ids, attention_mask or labels
    <prefix>_packed_<field>_document.idx   "MMIDIDX" 0 0 | u64 version 1 | u8 dtype | u64 sequences n | u64 documents d
                                           | int32[n] lengths | int64[n] byte offsets | int64[d] document ends

Format of Megatron-LM core_v0.12.1, `megatron/core/datasets/indexed_dataset.py`, without its multimodal modes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distillery.problems import Problem

MAGIC = b"MMIDIDX\x00\x00"
HEADER = struct.Struct("<9sQBQQ")
DTYPES = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 6: "<f8", 7: "<f4", 8: "<u2"}
INT32 = 4
IDS, MASK, LABELS = FIELDS = ("input_ids", "attention_mask", "labels")


@dataclass(frozen=True)
class Index:
    """Lengths [n] int32 in elements, document ends [d] int64 (begins with 0), element type code."""

    lengths: np.ndarray
    documents: np.ndarray
    dtype: int = INT32

    @property
    def item_bytes(self) -> int:
        return np.dtype(DTYPES[self.dtype]).itemsize

    @property
    def offsets(self) -> np.ndarray:
        """Byte offset [n] int64 of each sequence: the sum of the lengths before it."""
        sizes = self.lengths.astype(np.int64) * self.item_bytes
        return np.cumsum(sizes, dtype=np.int64) - sizes

    def write(self, path: Path) -> None:
        with path.open("wb") as stream:
            stream.write(HEADER.pack(MAGIC, 1, self.dtype, len(self.lengths), len(self.documents)))
            stream.write(self.lengths.astype("<i4").tobytes())
            stream.write(self.offsets.astype("<i8").tobytes())
            stream.write(self.documents.astype("<i8").tobytes())


def from_outcomes(outcomes: np.ndarray) -> Index:
    """The index of documents of one sequence each; -1 stands for a dropped one.

    A dropped document still ends: its entry repeats, as in the reference.
    """
    kept = outcomes >= 0
    ends = np.concatenate([[0], np.cumsum(kept, dtype=np.int64)])
    return Index(outcomes[kept].astype(np.int32), ends.astype(np.int64))


def read(bin_path: Path, idx_path: Path) -> Index:
    """Read an .idx and check it against itself and against the size of its .bin.

    Raises:
        Problem: a file is missing, is not such an index, or the two do not fit.
    """
    for path in (bin_path, idx_path):
        if not path.is_file():
            raise Problem(
                "an indexed dataset is not whole", where=path, found="no such file", wanted=".bin and .idx"
            )
    raw = idx_path.read_bytes()
    if len(raw) < HEADER.size or not raw.startswith(MAGIC):
        raise Problem(
            "not an index", where=idx_path, found=raw[:9], wanted=f"a file beginning with {MAGIC!r}"
        )
    _, version, code, sequences, ends = HEADER.unpack_from(raw)
    wanted = HEADER.size + sequences * 12 + ends * 8
    if version != 1 or code not in DTYPES or len(raw) != wanted:
        raise Problem(
            "an index of another format, or a truncated one",
            where=idx_path,
            found=f"version {version}, type {code}, {len(raw)} bytes",
            wanted=f"version 1, type 1..8, {wanted} bytes for {sequences} sequences and {ends} document entries",
            fix="make the dataset again",
        )
    lengths = np.frombuffer(raw, "<i4", sequences, HEADER.size)
    offsets = np.frombuffer(raw, "<i8", sequences, HEADER.size + sequences * 4)
    documents = np.frombuffer(raw, "<i8", ends, HEADER.size + sequences * 12)
    index = Index(lengths, documents, code)
    for what, right in (
        ("a negative length", bool((lengths >= 0).all())),
        # Megatron goes by them, we by the lengths: both must read the same tokens
        (
            "a sequence that does not begin where the one before it ends",
            np.array_equal(offsets, index.offsets),
        ),
        ("documents that do not divide its sequences", _divides(documents, sequences)),
    ):
        if not right:
            raise Problem(
                "an index that contradicts itself",
                where=idx_path,
                found=what,
                wanted="sequences one after the other, each in one document",
                fix="make the dataset again",
            )
    size = int(lengths.sum(dtype=np.int64)) * index.item_bytes
    if bin_path.stat().st_size != size:
        raise Problem(
            "a .bin that does not fit its index",
            where=bin_path,
            found=f"{bin_path.stat().st_size} bytes",
            wanted=f"{size} bytes",
            fix="make the dataset again",
        )
    return index


def _divides(documents: np.ndarray, sequences: int) -> bool:
    """Whether documents end in order, from 0 to the last sequence; one may be empty."""
    whole = len(documents) > 0 and documents[0] == 0 and documents[-1] == sequences
    return bool(whole and (np.diff(documents) >= 0).all())


def concatenated(parts: Iterable[tuple[Path, Index]]) -> Index:
    """The index of datasets put one after the other, without reading a token.

    Raises:
        Problem: different element types.
    """
    parts = list(parts)
    first_path, first = parts[0]
    ends, offset = [first.documents[:1]], 0
    for path, index in parts:
        if index.dtype != first.dtype:
            raise Problem(
                "datasets of different element types cannot be joined",
                where=f"{first_path} and {path}",
                found=f"{DTYPES[first.dtype]} and {DTYPES[index.dtype]}",
            )
        ends.append(index.documents[1:] + offset)
        offset += len(index.lengths)
    return Index(np.concatenate([index.lengths for _, index in parts]), np.concatenate(ends), first.dtype)
