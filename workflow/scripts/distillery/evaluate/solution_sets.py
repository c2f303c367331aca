r"""Sets of real numbers, written as intervals, inequalities or set-builders: `[2,\infty)`, `x \ge 2`, `\{x \mid x \ge 2\}`.

    same(r"(-\infty,1)\cup(2,\infty)", r"x<1 \text{ or } x>2") is True        same("(1,2)", "1<x<2") is None

Only what is surely a set of numbers and surely the same one: ends are compared as exact numbers or as text. A pair in round
or square brackets alone may be a point. Everything else is None: other rules and math-verify shall say.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from distillery.evaluate import notation, quantities

BUILDER = re.compile(
    r"\\\{\s*(?P<name>[a-z])\s*(?:\\in\s*\\mathbb\{R\}\s*)?(?:\\mid(?![A-Za-z])|[|:])(?P<said>.+)\\\}"
)
MEMBER = re.compile(r"(?P<name>[a-z])\s*\\in(?![A-Za-z])\s*")
UNION = re.compile(
    r"\s*(?:\\cup|\\lor|\\vee)(?![A-Za-z])\s*|\s*\\(?:text|mbox|mathrm)\s*\{\s*or\s*\}\s*|\s+or\s+"
)
INTERVAL = re.compile(r"(?P<open>[(\[])(?P<low>[^,()\[\]]+),(?P<high>[^,()\[\]]+)(?P<close>[)\]])")
ORDER = re.compile(r"\s*(<=|>=|<|>|\\(?:le|ge|lt|gt)(?![A-Za-z]))\s*")
ORDERS = {"<": "<", r"\lt": "<", "<=": "<=", r"\le": "<=", ">": ">", r"\gt": ">", ">=": ">=", r"\ge": ">="}
LEAST, GREATEST = "-inf", "inf"
End = Fraction | str


class Interval(NamedTuple):
    """Both ends, each with whether it belongs to the set."""

    low: End
    low_in: bool
    high: End
    high_in: bool


def same(gold: str, answer: str) -> bool | None:
    """True where both texts are the same set, else None."""
    sides = [_read(text) for text in (gold, answer)]
    if not all(sides):
        return None
    names = {side[0] for side in sides} - {""}
    return True if len(names) < 2 and sides[0][1] == sides[1][1] else None


def _read(text: str) -> tuple[str, frozenset[Interval]] | None:
    """(the variable's name or "", the intervals of the union)."""
    name = ""
    if found := BUILDER.fullmatch(text):
        name, text = found["name"], found["said"].strip()
    elif found := MEMBER.match(text):
        name, text = found["name"], text[found.end() :]
    pieces = [piece.strip() for piece in UNION.split(text)]
    if INTERVAL.fullmatch(pieces[0]):
        intervals = [_interval(piece) for piece in pieces]
        sure = name or len(pieces) > 1 or "infty" in text or text[:1] + text[-1:] in ("[)", "(]")
        return (name, frozenset(intervals)) if sure and all(intervals) else None
    bounded = [_bounded(piece) for piece in pieces]
    if not all(bounded) or len(names := {found[0] for found in bounded} | ({name} - {""})) != 1:
        return None
    return names.pop(), frozenset(interval for _, interval in bounded)


def _interval(text: str) -> Interval | None:
    found = INTERVAL.fullmatch(text)
    if not found:
        return None
    return _made(found["low"], found["open"] == "[", found["high"], found["close"] == "]")


def _bounded(text: str) -> tuple[str, Interval] | None:
    r"""`x < 2`, `2 \le x`, `1 < x \le 2`: the variable and its interval."""
    parts = ORDER.split(text)
    orders = [ORDERS[order] for order in parts[1::2]]
    terms = [term.strip() for term in parts[::2]]
    if len({order[0] for order in orders}) != 1 or len(orders) > 2:
        return None
    if orders[0][0] == ">":
        terms.reverse()
        orders.reverse()
    closed = [order.endswith("=") for order in orders]
    if len(terms) == 2:
        if re.fullmatch("[a-z]", terms[0]):
            terms, closed = [r"-\infty", *terms], [False, *closed]
        else:
            terms, closed = [*terms, r"\infty"], [*closed, False]
    low, name, high = terms
    interval = _made(low, closed[0], high, closed[1])
    return (name, interval) if re.fullmatch("[a-z]", name) and interval else None


def _made(low: str, low_in: bool, high: str, high_in: bool) -> Interval | None:
    ends = [_end(text) for text in (low, high)]
    if None in ends or (ends[0] == LEAST and low_in) or (ends[1] == GREATEST and high_in):
        return None
    return Interval(ends[0], low_in, ends[1], high_in)


def _end(text: str) -> End | None:
    text = notation.squeezed(text.strip())
    if found := re.fullmatch(r"([+-]?)\\infty", text):
        return LEAST if found[1] == "-" else GREATEST
    if number := quantities.number(text):
        return number.value if number.unit is None and not number.percent else None
    return text or None
