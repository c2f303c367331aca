r"""What math-verify says of simple forms, known without asking it, which takes some hundred times as long.

    verdict(r"\frac{3}{4}", r"\dfrac34\pi") == False        verdict("(1, 2)", r"\left(1,2\right)") == True
    verdict(r"\sqrt{8}", r"2\sqrt{2}") is None              verdict("12 cm", "12") is None

A form is a value of numbers, `\frac`, `\sqrt`, `\pi`, a few letters, sums, products and small powers; or a list, tuple, set
or interval of such; any of them in dollars (`simple_form_reader`). Forms of the same text are equal, and forms whose values are
far apart at two places of their letters are not: math-verify's simplifying is exact, and what it rounds is far smaller. All else
is None, and it must be asked: equal values that are written in other ways, near ones, and whatever is no such form. Tests hold
both sides together.
"""

from __future__ import annotations

import re
from functools import lru_cache

from distillery.evaluate import math_verify_import
from distillery.evaluate.simple_form_reader import Form, NoForm, Reader, apart

LONGEST = 120  # characters
WHOLE = re.compile(r"-?\d{1,15}")
TOKEN = re.compile(r"\d+(?:\.\d+)?|\\(?:frac|sqrt|pi)(?![A-Za-z])|[-+/^(){},\[\]xyzabnk]|\\[{}]")
SAME = [
    (re.compile(r"\\(?:left|right)(?=[()\[\]]|\\[{}])"), ""),
    (re.compile(r"\\[dt]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\text\s*\{\s*\}"), ""),
]
# digits that a space parts; a number with commas, or a decimal one; a mixed number; what is no plain text
DOUBTFUL = re.compile(
    r"\d\s+\d|^\W*\d{1,3}(?:\s*,\s*\d{3})+\W*$|(?<![\d.])0\s*,\s*\d|\d\s*\\frac|[^\x20-\x7e]"
)
ASSIGNED = re.compile(r"\s*[xyzabnk]\s*=(?!.*[=,])")
IN_DOLLARS = re.compile(r"\s*\$([^$]*[^$\\])\$\s*")


def verdict(gold: str, answer: str) -> bool | None:
    """math-verify's verdict on a gold and the content of a box, or None: it must be asked."""
    gold, answer = (found[1] if (found := IN_DOLLARS.fullmatch(text)) else text for text in (gold, answer))
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


def _surely_other(first: Form, second: Form) -> bool:
    if len(first.values) != len(second.values):
        return True
    other_kind = first.kind != second.kind
    if other_kind and (
        first.letters() or second.letters() or (first.may_be_empty() and second.may_be_empty())
    ):
        return False
    for place in range(2):
        sides = [[value[place] for value in form.values] for form in (first, second)]
        if other_kind or first.kind in ("list", "set"):
            sides = [sorted(values) for values in sides]
        if any(apart(a, b) for a, b in zip(*sides, strict=True)):
            return True
    return False


@lru_cache(maxsize=10_000)
def _form(text: str) -> Form | None:
    math_verify_import.load()
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
        return Reader(tokens).form(text)
    except (NoForm, ArithmeticError):
        return None
