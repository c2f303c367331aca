r"""What says less, or more, than one value, and is no value therefore: `5 or more` is not 5, `1, 2, \ldots, 10` not 1, 2, 10.

    differ("5", r"5\text{ or more}") is True        differ(r"x \ge 5", "[5,\\infty)") is False

math-verify drops the words, the sign of a relation without a left side, and the dots. And `m = 5, n = 6` says which is which:
`6, 5` is another answer, though as lists both are the same.
"""

from __future__ import annotations

import re

from distillery.evaluate import notation, quantities

BOUND = re.compile(
    r"\b(?:or|and) (?:more|less|fewer|greater|larger|smaller|above|below|over|under|up)\b"
    r"|\b(?:at least|at most|more than|less than|fewer than|greater than|no more than|no less than|up to)\b"
    r"|以上|以下|至少|至多|最多|最少|不少于|不超过|超过"
)
OPEN = re.compile(r"\s*(?:[<>]=?|\\(?:le|ge|lt|gt)(?![A-Za-z]))|.*\d\s*\+\s*$")
INNER_DOTS = re.compile(r"(?:\\ldots|\.{3})\s*[,;]?\s*[^\s.,;]")
NAMED = re.compile(r"([A-Za-z](?:_\{?\w+\}?)?)\s*=\s*(.+)")


def differ(gold: str, answer: str) -> bool:
    """Whether one side bounds a value or leaves out the middle of a list, and the other is a number, or spells a list out."""
    for one, other in ((gold, answer), (answer, gold)):
        bare = quantities.number(other) is not None and not BOUND.search(other)
        if bare and (BOUND.search(one) or OPEN.match(one)):
            return True
        if INNER_DOTS.search(one) and not re.search(r"\\ldots|\.{3}", other):
            return True
    return False


def in_order(gold: str, answer: str) -> bool | None:
    """Whether numbers that only one side names are the other's in the names' order; None where they are no such."""
    for one, other in ((gold, answer), (answer, gold)):
        named, bare = ([*map(str.strip, notation.parts(text))] for text in (one, other))
        found = [NAMED.fullmatch(item) for item in named]
        values = [item and quantities.number(item[2]) for item in found]
        others = [quantities.number(item) for item in bare]
        if len(named) > 1 and all(values) and all(others) and len({item[1] for item in found}) == len(named):
            return len(values) == len(others) and all(map(quantities.equal, values, others))
    return None
