"""A small grammar of answers: values of numbers, roots, fractions and a few letters, alone or in a list, set or brackets.

Each value is computed in floats, at two places of its letters; what the grammar has not raises `NoForm`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

GREATEST = 1e8  # of any value on the way: rounding stays far below APART
APART = 1e-4  # relative to the greater value, absolute below 1
_FIRST = (1.3719, 2.2911, 0.7753, 1.9031, 3.3301, 2.7083, 0.4999)
_SECOND = (0.6127, 1.4409, 3.1907, 2.5171, 0.8893, 4.1117, 1.7701)
PLACES = dict(zip("xyzabnk", zip(_FIRST, _SECOND, strict=True), strict=True))

Value = tuple[float, float]  # at two places


class NoForm(Exception):
    """The text is none of the simple forms."""


@dataclass(frozen=True)
class Form:
    """What was read."""

    kind: str  # "value", "list", "set", or the two brackets
    values: tuple[Value, ...]
    text: str  # without what only looks

    def letters(self) -> bool:
        """Whether its values depend on letters."""
        return any(first != second for first, second in self.values)

    def may_be_empty(self) -> bool:
        """Whether it reads as an interval from a greater number to a smaller one: all of these are equal."""
        return self.kind not in ("list", "set") and self.values[0] > self.values[1]


def apart(a: float, b: float) -> bool:
    """Whether two values differ by far more than rounding."""
    return abs(a - b) > APART * max(1.0, abs(a), abs(b))


class Reader:
    """Recursive descent through the tokens of one form."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = [*tokens, ""]
        self.at = 0

    def form(self, text: str) -> Form:
        """All tokens as one form.

        Args:
            text: what the form keeps as its text.

        Raises:
            NoForm, ArithmeticError: the tokens are none, or a value on the way is not a number of moderate size.
        """
        try:
            value = self.sum()
            if not self.here():
                return Form("value", (value,), text)
        except NoForm:
            pass
        self.at = 0
        opening = self.take() if self.here() in ("(", "[", r"\{") else ""
        values = [self.sum()]
        while self.here() == ",":
            self.at += 1
            values.append(self.sum())
        closing = self.take() if opening else ""
        kinds = {"": "list", r"\{\}": "set", "()": "()", "[]": "[]", "[)": "[)", "(]": "(]"}
        kind = kinds.get(opening + closing)
        if self.here() or kind is None or len(values) < 2:
            raise NoForm
        for place in range(2):
            column = sorted(value[place] for value in values)
            if not all(apart(a, b) for a, b in zip(column, column[1:], strict=False)):
                raise NoForm  # as a set it may have fewer members
            backwards = len(values) == 2 and values[0][place] > values[1][place]
            letters = bool(PLACES.keys() & set(self.tokens))
            half_open = kind in ("[)", "(]")
            if (half_open and len(values) > 2) or (backwards and kind != "list" and (half_open or letters)):
                raise NoForm  # an empty interval is equal to every other one
        return Form(kind, tuple(values), text)

    def here(self) -> str:
        return self.tokens[self.at]

    def take(self, wanted: str = "") -> str:
        token = self.here()
        if not token or (wanted and token != wanted):
            raise NoForm
        self.at += 1
        return token

    def sum(self) -> Value:
        sign = -1.0 if self.here() == "-" else 1.0
        self.at += self.here() == "-"
        total = _bounded(sign * part for part in self.product())
        while self.here() in ("+", "-"):
            sign = -1.0 if self.take() == "-" else 1.0
            total = _bounded(a + sign * b for a, b in zip(total, self.product(), strict=True))
        return total

    def product(self) -> Value:
        before, value = self.here(), self.power()
        if self.here() == "/":  # of two numbers, and nothing beside it
            self.at += 1
            under = self.take()
            if not (before.isdigit() and self.tokens[self.at - 3] == before and under.isdigit()):
                raise NoForm
            return (
                _quotient(value, (float(under),) * 2)
                if self.here() in ("", "+", "-", ",", ")", "]", "}")
                else _none()
            )
        while (after := self.here()) and after not in ("+", "-", ",", ")", "]", "}", r"\}"):
            # `2 \frac12` is a mixed number, and `(3)(4)` is 7 to math-verify
            if (
                after[0].isdigit()
                or after in (r"\frac", "^", "/")
                or (after == "(" and self.tokens[self.at - 1] == ")")
            ):
                raise NoForm
            value = _bounded(a * b for a, b in zip(value, self.power(), strict=True))
        return value

    def power(self) -> Value:
        base = self.atom()
        if self.here() != "^":
            return base
        self.at += 1
        braced = self.here() == "{"
        self.at += braced
        negative = braced and self.here() == "-"
        self.at += negative
        digit = self.take()
        if len(digit) != 1 or not digit.isdigit():
            raise NoForm
        if braced:
            self.take("}")
        return _bounded(one ** (-int(digit) if negative else int(digit)) for one in base)

    def atom(self) -> Value:
        token = self.take()
        if token[0].isdigit():
            return _bounded((float(token),) * 2)
        if token in PLACES:
            return PLACES[token]
        if token == r"\pi":
            return (math.pi,) * 2
        if token == r"\frac":
            if self.here().isdigit() and len(self.here()) == 2:  # \frac34
                digits = self.take()
                return _quotient((float(digits[0]),) * 2, (float(digits[1]),) * 2)
            return _quotient(self.braced(), self.braced())
        if token == r"\sqrt":
            under = self.braced()
            return (math.sqrt(under[0]), math.sqrt(under[1])) if min(under) >= 0 else _none()
        if token == "(":
            value = self.sum()
            self.take(")")
            return value
        raise NoForm

    def braced(self) -> Value:
        if self.here().isdigit() and len(self.here()) == 1:  # \sqrt2
            return (float(self.take()),) * 2
        self.take("{")
        value = self.sum()
        self.take("}")
        return value


def _none() -> Value:
    raise NoForm


def _quotient(top: Value, bottom: Value) -> Value:
    if min(map(abs, bottom)) < APART:
        raise NoForm
    return _bounded(a / b for a, b in zip(top, bottom, strict=True))


def _bounded(values: Iterable[float]) -> Value:
    first, second = values
    if max(abs(first), abs(second)) > GREATEST:
        raise NoForm
    return first, second
