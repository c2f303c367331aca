"""What several samples of a problem say: pass@k and maj@k, for every k up to their number, without bias.

    classes = [["right", "right", "7", None], ...]        # the answer of each sample of each problem
    pass_at([...], k), majority_at([...], k)              # one value a problem, in 0..1

Both are expectations over all ways to take k of the n samples, computed exactly, so that no draw of subsets adds noise.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

RIGHT = "right"


def ks(samples: int) -> list[int]:
    """The k that are reported: powers of two below the number of samples, and that."""
    return [1 << power for power in range(samples.bit_length()) if 1 << power < samples] + [samples]


def pass_at(right: int, samples: int, k: int) -> float:
    """Chance that k of the samples hold a right one: 1 - C(n - c, k) / C(n, k).

    Equation 1 of Chen et al. 2021, "Evaluating large language models trained on code".
    """
    return 1.0 - math.comb(samples - right, k) / math.comb(samples, k)


def majority_at(answers: Sequence[str | None], k: int) -> float:
    """Chance that the most frequent answer among k of the samples is the right one; ties are drawn.

    Args:
        answers: of each sample, equal texts for equal answers, `RIGHT` for right ones, None for none, which has no vote.

    For each number j of votes that the right answer may get: the ways to choose them, times the ways to choose the other
    k - j samples so that no answer has more than j, counted by how many others have j too, by a product of polynomials.
    """
    votes = Counter(answer for answer in answers if answer is not None)
    right = votes.pop(RIGHT, 0)
    silent = len(answers) - right - votes.total()
    won = 0.0
    for j in range(1, min(right, k) + 1):
        # answers of fewer than j samples are as harmless as silent ones: (1 + x)^their number
        free = silent + sum(count for count in votes.values() if count < j)
        ways = {(taken, 0): math.comb(free, taken) for taken in range(min(free, k - j) + 1)}
        for count in (count for count in votes.values() if count >= j):
            ways = _with_rival(ways, count, j, k - j)
        for (taken, ties), number in ways.items():
            if taken == k - j:
                won += math.comb(right, j) * number / (ties + 1)
    return won / math.comb(len(answers), k)


def _with_rival(
    ways: dict[tuple[int, int], int], count: int, most: int, room: int
) -> dict[tuple[int, int], int]:
    """The ways, by (samples taken, answers with `most` votes), with up to `most` of a rival's `count` samples too."""
    more: Counter[tuple[int, int]] = Counter()
    for (taken, ties), number in ways.items():
        for votes in range(min(most, room - taken) + 1):
            more[taken + votes, ties + (votes == most)] += number * math.comb(count, votes)
    return more
