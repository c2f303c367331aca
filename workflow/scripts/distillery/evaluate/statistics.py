"""Intervals and tests for proportions of right answers, unpaired and paired."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

Z_95 = 1.959963984540054  # 97.5 % quantile of the normal distribution
Z_80 = 0.8416212335729143  # 80 % quantile: the power of a comparison that is to see a difference
RESAMPLES = 10_000
SAME = 1e-9  # values that differ by less were rounded
BLOCK = 1_000_000  # numbers in memory at once


def wilson(right: float, n: int) -> tuple[float, float]:
    """95 % score interval of a proportion (Wilson 1927): honest near 0 and 1, where the usual one fails."""
    if n == 0:
        return 0.0, 1.0
    if abs(right - round(right)) < SAME * n:
        right = round(right)
    p, z2 = right / n, Z_95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # at the ends the formula gives exactly 0 and 1, rounding does not
    return (0.0 if right == 0 else centre - half), (1.0 if right == n else centre + half)


def newcombe(both: int, only_first: int, only_second: int, neither: int) -> tuple[float, float]:
    """95 % interval of second minus first proportion of paired answers (Newcombe 1998, method 10).

    Made of both proportions' Wilson intervals and their correlation, so that it does not shrink to a point
    when all pairs differ the same way, as resampling does.
    """
    n = both + only_first + only_second + neither
    first, second = both + only_first, both + only_second
    product = both * neither - only_first * only_second
    product = max(0.0, product - n / 2) if product > 0 else product  # continuity, for positive correlation
    scale = math.sqrt(first * (n - first) * second * (n - second))
    phi = product / scale if scale else 0.0

    def distance(up: float, down: float) -> float:
        return math.sqrt(max(0.0, up * up - 2 * phi * up * down + down * down))

    (low1, high1), (low2, high2), p1, p2 = wilson(first, n), wilson(second, n), first / n, second / n
    return p2 - p1 - distance(p2 - low2, high1 - p1), p2 - p1 + distance(high2 - p2, p1 - low1)


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value that both disagreements are equally likely (binomial, McNemar 1947)."""
    n, k = only_first + only_second, min(only_first, only_second)
    if n == 0:
        return 1.0
    tail = sum(math.comb(n, i) for i in range(k + 1))
    return min(1.0, 2 * tail / 2**n)


def mean_shares(values: np.ndarray, seed: int) -> list[tuple[float, float]]:
    """95 % interval of the mean over problems of each column of `values` [problems, measures], each value in 0..1.

    Wilson's where a column has no other values than 0 and 1, as with one sample a problem, else the bootstrap's. Where all
    problems have one value, which resampled is a point, as if nothing were in doubt, it is Wilson's too: of all values with
    this mean, none vary more than 0 and 1 do.
    """
    alone = [all_or_none(column) or bool(np.ptp(column) < SAME) for column in values.T]
    drawn = bootstrap_all(values, seed) if not all(alone) else []
    return [
        wilson(float(column.sum()), len(column)) if one else drawn[place]
        for place, (one, column) in enumerate(zip(alone, values.T, strict=True))
    ]


def all_or_none(values: np.ndarray) -> bool:
    """Whether each value is 0 or 1, so that their mean is a proportion."""
    return bool((abs(values - values.round()) < SAME).all())


def bootstrap(values: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % percentile interval of the mean of `values` [problems], resampling problems.

    For paired models `values` are the per-problem differences, so both are resampled together.
    """
    ((low, high),) = bootstrap_all(values[:, None], seed)
    return low, high


def bootstrap_all(values: np.ndarray, seed: int) -> list[tuple[float, float]]:
    """The interval of each column of `values` [problems, measures], all from the same resamples.

    Problems with the same values are exchangeable: how often each kind of them is drawn has a multinomial distribution.
    """
    rng = np.random.default_rng(seed)
    n = len(values)
    kinds, counts = np.unique(values, axis=0, return_counts=True)
    block = max(1, BLOCK // len(kinds))  # [resamples, kinds] at once could be gigabytes
    drawn = (
        rng.multinomial(n, counts / n, size=min(block, RESAMPLES - start))
        for start in range(0, RESAMPLES, block)
    )
    means = np.concatenate([frequencies @ kinds / n for frequencies in drawn])
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return [(float(one), float(other)) for one, other in zip(low, high, strict=True)]


def sign_flip(differences: Sequence[Fraction]) -> float:
    """Two-sided exact p-value that paired differences are as likely to have the other sign (Fisher 1935).

    Of all 2^n ways to give the differences signs, the share whose sum is at least as far from zero. With one sample a
    problem, differences of -1, 0 and 1, it is McNemar's exact test. Counted by convolution over the sums, which are
    multiples of the differences' common denominator.
    """
    scale = math.lcm(*(difference.denominator for difference in differences)) if differences else 1
    steps = [abs(int(difference * scale)) for difference in differences if difference]
    observed = abs(sum(int(difference * scale) for difference in differences))
    total = sum(steps)
    chances = np.zeros(2 * total + 1)  # of the sum, from -total
    chances[total] = 1.0
    for step in steps:
        moved = np.zeros_like(chances)
        moved[step:] += 0.5 * chances[: len(chances) - step]
        moved[: len(chances) - step] += 0.5 * chances[step:]
        chances = moved
    sums = np.abs(np.arange(-total, total + 1))
    return min(1.0, float(chances[sums >= observed].sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979): the chance of any false one stays below the level."""
    order = sorted(range(len(p_values)), key=lambda number: p_values[number])
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, number in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[number]))
        corrected[number] = highest
    return corrected


def needed(mean: float, deviation: float) -> int | None:
    """Problems that a paired comparison needs to show a difference, with 80 % power at the two-sided 5 % level.

    n = ((z_0.975 + z_0.8) sd / mean)^2, of the normal approximation to the paired test.

    Args:
        mean, deviation: of the per-problem differences. None where there is no difference to be shown.
    """
    if not mean:
        return None
    return max(2, math.ceil(((Z_95 + Z_80) * deviation / mean) ** 2))


def shown(n: int, deviation: float) -> float:
    """The smallest difference that n problems show with 80 % power: the reverse of `needed`."""
    return (Z_95 + Z_80) * deviation / math.sqrt(n)
