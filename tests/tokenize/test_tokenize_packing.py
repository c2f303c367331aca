"""Packing chooses as the reference's list-popping knapsack does, and indices survive merging."""

from __future__ import annotations

import bisect
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.problems import Problem
from distillery.tokenize import indexed, packing


def by_lists(lengths: list[int], capacity: int) -> list[list[int]]:
    """Best fit as it is usually written: a sorted list, the largest that fits popped from its middle."""
    rows = sorted(range(len(lengths)), key=lambda row: (lengths[row], row))
    groups = []
    while rows:
        group, room = [], capacity
        while place := bisect.bisect_right(rows, room, key=lambda row: lengths[row]):
            group.append(rows.pop(place - 1))
            room -= lengths[group[-1]]
        groups.append(group)
    return groups


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 60))
def test_best_fit_is_the_quadratic_one(data: st.DataObject, capacity: int) -> None:
    lengths = data.draw(st.lists(st.integers(1, capacity), max_size=80))
    assert packing.best_fit(np.array(lengths, np.int64), capacity) == by_lists(lengths, capacity)


@pytest.mark.slow
def test_a_million_rows_pack_in_linear_time() -> None:
    """The quadratic way moves 10^11 list entries here and does not end."""
    lengths = np.random.default_rng(0).integers(1, 8192, 1_000_000)
    groups = packing.best_fit(lengths, 8191)
    assert sorted(row for group in groups for row in group) == list(range(len(lengths)))
    assert max(int(lengths[group].sum()) for group in groups[:: len(groups) // 1000]) <= 8191
    assert sum(len(group) for group in groups) / len(groups) > 1.9


@given(st.integers(0, 100), st.integers(1, 12))
def test_subsets_cover_all_rows_once(rows: int, pieces: int) -> None:
    found = [row for piece in packing.subsets(rows, pieces) for row in range(rows)[piece]]
    assert found == list(range(rows))


def test_lay_and_mask() -> None:
    tokens, lengths = np.arange(10, 16, dtype="<i4"), np.array([1, 3, 2])
    (sequence,) = packing.lay(tokens, lengths, [[2, 0]], 5, -1)
    assert sequence.tolist() == [14, 15, 10, -1, -1]
    assert packing.mask(lengths[[2, 0]], 5, neat=True).tolist() == [1, 1, 2, 0, 0]
    assert packing.mask(lengths[[2, 0]], 5, neat=False).tolist() == [1] * 5


outcomes = st.lists(st.integers(-1, 9), min_size=1, max_size=30).map(
    lambda values: np.array(values, np.int64)
)


@given(outcomes, outcomes)
def test_concatenated_indices_are_those_of_concatenated_data(first: np.ndarray, second: np.ndarray) -> None:
    whole = indexed.from_outcomes(np.concatenate([first, second]))
    parts = [(Path(name), indexed.from_outcomes(part)) for name, part in (("a", first), ("b", second))]
    joined = indexed.concatenated(parts)
    assert joined.lengths.tolist() == whole.lengths.tolist()
    assert joined.documents.tolist() == whole.documents.tolist()
    assert joined.offsets.tolist() == whole.offsets.tolist()


def write(path: Path, index: indexed.Index) -> tuple[Path, Path]:
    bin_path, idx_path = path.with_suffix(".bin"), path.with_suffix(".idx")
    bin_path.write_bytes(bytes(int(index.lengths.sum()) * index.item_bytes))
    index.write(idx_path)
    return bin_path, idx_path


@pytest.mark.slow
def test_megatron_reads_and_writes_the_same_index(tmp_path: Path) -> None:
    from megatron.core.datasets.indexed_dataset import IndexedDataset, IndexedDatasetBuilder

    rows = [[5, 6, 7], [-100], [8, 9]]
    builder = IndexedDatasetBuilder(str(tmp_path / "theirs.bin"), dtype=np.int32)
    for row in rows:
        builder.add_document(np.array(row, np.int32), [len(row)])
    builder.finalize(str(tmp_path / "theirs.idx"))
    index = indexed.from_outcomes(np.array([len(row) for row in rows]))
    _, idx_path = write(tmp_path / "ours", index)
    assert idx_path.read_bytes() == (tmp_path / "theirs.idx").read_bytes()
    (tmp_path / "ours.bin").write_bytes(np.concatenate(rows).astype("<i4").tobytes())
    assert [row.tolist() for row in IndexedDataset(str(tmp_path / "ours"))] == rows


def test_broken_indices_are_named(tmp_path: Path) -> None:
    index = indexed.from_outcomes(np.array([3, -1, 2]))
    bin_path, idx_path = write(tmp_path / "d", index)
    found = indexed.read(bin_path, idx_path)
    assert (found.lengths.tolist(), found.documents.tolist()) == ([3, 2], [0, 1, 1, 2])
    bin_path.write_bytes(bytes(16))
    with pytest.raises(Problem, match="20 bytes"):
        indexed.read(bin_path, idx_path)
    idx_path.write_bytes(idx_path.read_bytes()[:-1])
    with pytest.raises(Problem, match="truncated"):
        indexed.read(bin_path, idx_path)
    idx_path.write_bytes(b"nothing")
    with pytest.raises(Problem, match="not an index"):
        indexed.read(bin_path, idx_path)
    idx_path.unlink()
    with pytest.raises(Problem, match="no such file"):
        indexed.read(bin_path, idx_path)
    other = indexed.Index(np.array([1], np.int32), np.array([0, 1]), dtype=8)
    with pytest.raises(Problem, match="u2"):
        indexed.concatenated([(Path("a"), index), (Path("b"), other)])
