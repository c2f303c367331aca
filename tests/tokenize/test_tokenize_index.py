"""An .idx is read if it agrees with itself: what Megatron would read of a dataset by its offsets, we read by its lengths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery.problems import Problem
from distillery.tokenize import indexed

LENGTHS, ENDS = [3, 0, 5, 2], [0, 1, 3, 4]


def stored(folder: Path, lengths=tuple(LENGTHS), ends=tuple(ENDS), offsets=None) -> tuple[Path, Path]:
    """(.bin, .idx) of these parts; the .bin is as long as the lengths say."""
    made = indexed.Index(np.array(lengths, np.int32), np.array(ends, np.int64))
    offsets = made.offsets if offsets is None else np.array(offsets)
    path = folder / "a.idx"
    path.write_bytes(
        indexed.HEADER.pack(indexed.MAGIC, 1, made.dtype, len(lengths), len(ends))
        + b"".join(
            part.astype(kind).tobytes()
            for part, kind in ((made.lengths, "<i4"), (offsets, "<i8"), (made.documents, "<i8"))
        )
    )
    path.with_suffix(".bin").write_bytes(bytes(4 * sum(lengths)))
    return path.with_suffix(".bin"), path


def test_a_right_one_is_read(tmp_path):
    index = indexed.read(*stored(tmp_path))
    assert (index.lengths.tolist(), index.documents.tolist()) == (LENGTHS, ENDS)
    assert indexed.read(*stored(tmp_path, (), (0,))).offsets.tolist() == []


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ({"lengths": (3, -1, 6, 2)}, "a negative length"),
        ({"offsets": (0, 12, 16, 32)}, "does not begin where"),
        ({"offsets": (12, 12, 12, 32)}, "does not begin where"),
        ({"ends": (0, 3, 1, 4)}, "documents that"),
        ({"ends": (1, 3, 4)}, "documents that"),
        ({"ends": (0, 2)}, "documents that"),
        ({"ends": (0, 2, 5)}, "documents that"),
        ({"ends": ()}, "documents that"),
    ],
)
def test_one_that_contradicts_itself_is_named(tmp_path, parts, found):
    with pytest.raises(Problem, match="contradicts itself") as problem:
        indexed.read(*stored(tmp_path, **parts))
    assert found in problem.value.found and problem.value.where == tmp_path / "a.idx"


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_is_named_or_leaves_an_index_of_the_same_tokens(tmp_path_factory, place, bit):
    binary, path = stored(tmp_path_factory.mktemp("flip"))
    raw = bytearray(path.read_bytes())
    raw[place % len(raw)] ^= 1 << bit
    path.write_bytes(raw)
    try:
        index = indexed.read(binary, path)
    except Problem:
        return
    # what the file alone cannot tell: the type's neighbour of the same width, and where a document ends
    assert index.lengths.tolist() == LENGTHS and index.item_bytes == 4
    assert index.documents[0] == 0 and index.documents[-1] == len(LENGTHS)
