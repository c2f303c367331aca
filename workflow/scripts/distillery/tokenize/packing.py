"""Which rows share a sequence: the reference's greedy best fit, in time linear in rows + capacity.

The reference sorts the lengths and, for each sequence, takes again and again the largest that still fits
(`list.pop` in the middle: quadratic). Lengths are below the capacity, so a bucket for each length and a "next
smaller bucket that is not empty" pointer with path halving give the same choice at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def best_fit(lengths: np.ndarray, capacity: int) -> list[list[int]]:
    """Groups of row numbers, in the order in which they are laid into each sequence.

    Of rows of equal length the last one is taken first, as the reference does.

    Args:
        lengths: [rows], each in 1..capacity.
        capacity: tokens that a sequence can hold.
    """
    order = np.argsort(lengths, kind="stable")
    counts = np.bincount(lengths, minlength=capacity + 1)
    ends = np.cumsum(
        counts
    ).tolist()  # rows of length n are order[ends[n] - left[n] : ends[n]], taken from the end
    left = counts.tolist()
    rows = order.tolist()
    smaller = list(range(capacity + 1))  # length -> itself while it has rows, else a smaller candidate

    def largest(limit: int) -> int:
        while limit and (not left[limit]):
            if smaller[limit] == limit:
                smaller[limit] = limit - 1
            smaller[limit] = smaller[smaller[limit]]
            limit = smaller[limit]
        return limit

    groups: list[list[int]] = []
    remaining_rows = len(rows)
    while remaining_rows:
        group: list[int] = []
        room = capacity
        while length := largest(room):
            left[length] -= 1
            ends[length] -= 1
            group.append(rows[ends[length]])
            room -= length
        groups.append(group)
        remaining_rows -= len(group)
    return groups


def lay(
    tokens: np.ndarray, lengths: np.ndarray, groups: list[list[int]], size: int, fill: int
) -> Iterator[np.ndarray]:
    """One sequence [size] int32 for each group: its rows one after the other, then `fill`.

    Args:
        tokens: all rows concatenated; lengths: [rows] of each.
    """
    starts = np.cumsum(lengths) - lengths
    for group in groups:
        sequence = np.full(size, fill, "<i4")
        position = 0
        for row in group:
            length = int(lengths[row])
            sequence[position : position + length] = tokens[starts[row] : starts[row] + length]
            position += length
        yield sequence


def mask(lengths: np.ndarray, size: int, neat: bool) -> np.ndarray:
    """The attention mask [size] int32 of a sequence of rows of these lengths.

    Plain packing marks everything 1, padding too; neat packing numbers the rows 1, 2, ... and marks padding 0.
    """
    if not neat:
        return np.ones(size, "<i4")
    numbers = np.zeros(size, "<i4")
    numbers[: lengths.sum()] = np.repeat(np.arange(1, len(lengths) + 1), lengths)
    return numbers


def subsets(rows: int, pieces: int) -> list[slice]:
    """The reference's --n-subs: pieces of rows // pieces rows each, and one more for the rest."""
    size = max(rows // pieces, 1)
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
