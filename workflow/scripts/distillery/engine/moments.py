"""The optimizer's moments between runs whose ranks hold them in different ways.

One process keeps an array for each parameter (exp_avg.NAME, exp_avg_sq.NAME), ranks keep one vector of all
parameters of their slice of the model (exp_avg, exp_avg_sq), whole or, with ZeRO-1, cut into equal shares with
zeros at the end. The numbers are the same, so a checkpoint serves any number of data-parallel ranks.
"""

from __future__ import annotations

import numpy as np

KINDS = ("exp_avg", "exp_avg_sq")


def joined(shares: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The files of all data-parallel ranks, in their order, as one."""
    if len(shares) == 1:
        return shares[0]
    return {kind: np.concatenate([share[kind] for share in shares]) for kind in KINDS}


def vector(moments: dict[str, np.ndarray], kind: str, names: list[str]) -> np.ndarray:
    """All parameters' moments of one kind, in the order of `names`; zeros may follow."""
    if kind in moments:
        return moments[kind]
    return np.concatenate([moments[f"{kind}.{name}"].reshape(-1) for name in names])


def share(whole: np.ndarray, total: int, before: int, size: int) -> np.ndarray:
    """Elements before .. before + size - 1 of the first `total`, with zeros behind the last."""
    found = np.zeros(size, np.float32)
    part = whole[:total][before : before + size]
    found[: len(part)] = part
    return found
