"""Which rows share a sequence: the reference's greedy best fit, in time linear in rows + capacity.

The reference sorts the lengths and, for each sequence, takes again and again the largest that still fits
(`list.pop` in the middle: quadratic). Lengths are below the capacity, so a bucket for each length and a "next
smaller bucket that is not empty" pointer with path halving give the same choice at once.
"""

from __future__ import annotations

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
