r"""What math-verify says of simple forms, known without asking it, which takes some hundred times as long.

    verdict(r"\frac{3}{4}", r"\dfrac34\pi") == False        verdict("(1, 2)", r"\left(1,2\right)") == True
    verdict(r"\sqrt{8}", r"2\sqrt{2}") is None              verdict("12 cm", "12") is None

A form is a value of numbers, `\frac`, `\sqrt`, `\pi`, a few letters, sums, products and small powers; or a list, tuple, set
or interval of such. Forms of the same text are equal, and forms whose values are far apart at two places of their letters
are not: math-verify's simplifying is exact, and what it rounds is far smaller. All else is None, and it must be asked:
equal values that are written in other ways, near ones, and whatever is no such form. Tests hold both sides together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

LONGEST = 120  # characters
GREATEST = 1e8  # of any value on the way: rounding stays far below APART
APART = 1e-4  # relative to the greater value, absolute below 1
_FIRST = (1.3719, 2.2911, 0.7753, 1.9031, 3.3301, 2.7083, 0.4999)
_SECOND = (0.6127, 1.4409, 3.1907, 2.5171, 0.8893, 4.1117, 1.7701)
PLACES = dict(zip("xyzabnk", zip(_FIRST, _SECOND, strict=True), strict=True))
WHOLE = re.compile(r"-?\d{1,15}")
TOKEN = re.compile(r"\d+(?:\.\d+)?|\\(?:frac|sqrt|pi)(?![A-Za-z])|[-+/^(){},\[\]xyzabnk]|\\[{}]")
SAME = [
    (re.compile(r"\\(?:left|right)\s*(?=[()\[\]]|\\[{}])"), ""),
    (re.compile(r"\\[dt]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\text\s*\{\s*\}"), ""),
]
# digits that a space parts; a number with commas, or a decimal one; a mixed number; what is no plain text
DOUBTFUL = re.compile(
    r"\d\s+\d|^\W*\d{1,3}(?:\s*,\s*\d{3})+\W*$|(?<![\d.])0\s*,\s*\d|\d\s*\\frac|[^\x20-\x7e]"
)
ASSIGNED = re.compile(r"\s*[xyzabnk]\s*=(?!.*[=,])")

Value = tuple[float, float]  # at two places


class _NoForm(Exception):
    """The text is none of the simple forms."""


@dataclass(frozen=True)
class _Form:
    kind: str  # "value", "list", "set", or the two brackets
    values: tuple[Value, ...]
    text: str  # without what only looks


def verdict(gold: str, answer: str) -> bool | None:
    """math-verify's verdict on a gold and the content of a box, or None: it must be asked."""
    if WHOLE.fullmatch(gold) and WHOLE.fullmatch(answer):
        return int(gold) == int(answer)
    assigned = [ASSIGNED.match(text) for text in (gold, answer)]
    if all(assigned):
        return None
    first, second = (
        _form(text[found.end() :] if found else text)
        for text, found in zip((gold, answer), assigned, strict=True)
    )
    if first is None or second is None or (any(assigned) and {first.kind, second.kind} != {"value"}):
        return None
    if first.text == second.text:
        return True
    return False if _surely_other(first, second) else None


def _surely_other(first: _Form, second: _Form) -> bool:
    if len(first.values) != len(second.values):
        return True
    if first.kind != second.kind:
        return False
    for place in range(2):
        sides = [[value[place] for value in form.values] for form in (first, second)]
        if first.kind in ("list", "set"):
            sides = [sorted(values) for values in sides]
        if any(_apart(a, b) for a, b in zip(*sides, strict=True)):
            return True
    return False


def _apart(a: float, b: float) -> bool:
    return abs(a - b) > APART * max(1.0, abs(a), abs(b))


@lru_cache(maxsize=10_000)
def _form(text: str) -> _Form | None:
    from latex2sympy2_extended.math_normalization import units_regex

    for pattern, same in SAME:
        text = pattern.sub(same, text)
    if len(text) > LONGEST or DOUBTFUL.search(text) or units_regex.search(text):
        return None
    text = text.replace(" ", "")
    tokens = TOKEN.findall(text)
    if "".join(tokens) != text:
        return None
    try:
        return _Reader(tokens).form(text)
    except (_NoForm, ArithmeticError):
        return None


class _Reader:
    """Recursive descent through the tokens of one form."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = [*tokens, ""]
        self.at = 0

    def form(self, text: str) -> _Form:
        try:
            value = self.sum()
            if not self.here():
                return _Form("value", (value,), text)
        except _NoForm:
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
            raise _NoForm
        for place in range(2):
            column = sorted(value[place] for value in values)
            if not all(_apart(a, b) for a, b in zip(column, column[1:], strict=False)):
                raise _NoForm  # as a set it may have fewer members
            backwards = len(values) == 2 and values[0][place] > values[1][place]
            letters = bool(PLACES.keys() & set(self.tokens))
            half_open = kind in ("[)", "(]")
            if (half_open and len(values) > 2) or (backwards and kind != "list" and (half_open or letters)):
                raise _NoForm  # an empty interval is equal to every other one
        return _Form(kind, tuple(values), text)

    def here(self) -> str:
        return self.tokens[self.at]

    def take(self, wanted: str = "") -> str:
        token = self.here()
        if not token or (wanted and token != wanted):
            raise _NoForm
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
                raise _NoForm
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
                raise _NoForm
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
            raise _NoForm
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
        raise _NoForm

    def braced(self) -> Value:
        if self.here().isdigit() and len(self.here()) == 1:  # \sqrt2
            return (float(self.take()),) * 2
        self.take("{")
        value = self.sum()
        self.take("}")
        return value


def _none() -> Value:
    raise _NoForm


def _quotient(top: Value, bottom: Value) -> Value:
    if min(map(abs, bottom)) < APART:
        raise _NoForm
    return _bounded(a / b for a, b in zip(top, bottom, strict=True))


def _bounded(values: Iterable[float]) -> Value:
    first, second = values
    if max(abs(first), abs(second)) > GREATEST:
        raise _NoForm
    return first, second
