"""How many tokens of a turn's source and target stay when a row exceeds its limit: the reference's two formulas.

Tokenizing cuts with them, and training does with rows that are longer than its sequences.
"""

from __future__ import annotations

# without --seq-length
DEFAULT_LIMIT = 100_000


def by_share(source: int, target: int, limit: int) -> tuple[int, int]:
    """Lengths that a plain template keeps: the target its share of `limit` (at least 1), the source the rest."""
    share = int(limit * (target / (source + target))) if source + target else 0
    most_target = max(share, 1)
    return limit - min(most_target, target), most_target


def by_need(source: int, target: int, limit: int) -> tuple[int, int]:
    """Lengths that reasoning templates and neat packing keep: the shorter half is spared."""
    if target * 2 < limit:
        most_target = limit
    elif source * 2 < limit:
        most_target = limit - source
    else:
        most_target = int(limit * (target / (source + target)))
    kept_target = min(most_target, target)
    return min(max(limit - kept_target, 0), source), kept_target
