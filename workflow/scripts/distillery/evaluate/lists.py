"""Lists of numbers in any order, each with its unit; quantities of several units (`1 hour 30 minutes`) are such lists.

same("2, 6", "6, 2") is True        same("35 cm, 4", r"35\\text{ m}, 4") is False        same("1,000", "1,0000") is False
"""

from __future__ import annotations

import re

from distillery.evaluate import notation, quantities

NEXT_QUANTITY = re.compile(r"(?<=[A-Za-z}])\s+(?=\d)|(?<=['\"}])\s*(?=\d)")


def same(gold: str, answer: str) -> bool | None:
    """Whether two lists have the same numbers; None where one is shorter than 2, or has items that are no numbers.

    Quantities of several units are no single number: `6'2"` is not 62.
    """
    sides = [_listed(text) or _joined(text) for text in (gold, answer)]
    if not all(sides):
        first, second = (quantities.number(text) is not None for text in (gold, answer))
        return False if (sides[0] and not first and second) or (sides[1] and not second and first) else None
    # a comma may group the digits of one number: what is one cannot be what is a list
    if any(quantities.number(text) for text in (gold, answer)):
        return False
    left = list(sides[1])
    for one in sides[0]:
        found = next(
            (other for other in left if quantities.equal(one, other) and quantities.same_unit(one, other)),
            None,
        )
        if found is None:
            return False
        left.remove(found)
    return not left


def _listed(text: str) -> list[quantities.Number] | None:
    return _numbers(notation.parts(text))


def _joined(text: str) -> list[quantities.Number] | None:
    """The quantities, each with its unit, of one such as `1 hour 30 minutes`."""
    numbers = _numbers(NEXT_QUANTITY.split(text))
    return numbers if numbers and all(one.unit not in (None, "?") for one in numbers) else None


def _numbers(items: list[str]) -> list[quantities.Number] | None:
    numbers = [quantities.number(item) for item in items] if len(items) > 1 else []
    return numbers if numbers and all(numbers) else None
