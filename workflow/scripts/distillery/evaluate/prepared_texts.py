"""What math-verify is given where no rule of ours decided: numbers in figures, units of expressions off, last letters kept.

It would take a last letter for a unit: `2m` is not `2`, and `b > a > c` has a c.
"""

from __future__ import annotations

import re
from decimal import Decimal, localcontext

from distillery.evaluate import math_verify_import, quantities, rules

# math-verify drops the sign of degrees, and takes the sine of 30 radians
RADIANS = re.compile(
    r"(?P<function>\\(?:sin|cos|tan|cot|sec|csc)(?:\s*\^\s*(?:\d|\{\d\}))?)\s*[({]?\s*(?P<degrees>\d+)\s*\^\{\\circ\}\s*[)}]?"
)


UPRIGHT = re.compile(
    r"\\mathrm\s*\{\s*([ie])\s*\}"
)  # constants, which it would drop as units: `4-\mathrm{i}` is not 4


def prepared(gold: str, answer: str) -> tuple[str, str]:
    """Both sides as math-verify is to parse them."""
    gold, answer = (
        RADIANS.sub(_radians, rules.UNITS.sub("", UPRIGHT.sub(r" \1 ", text)))
        for text in rules.pair(gold, answer)
    )
    unit = quantities.number(gold) is None or quantities.number(answer, lone=True) is None
    return _figures(_keep_letter(gold)), _figures(_keep_letter(answer) if unit else answer)


def _radians(found: re.Match) -> str:
    return rf"{found['function']}{{\frac{{{found['degrees']}\pi}}{{180}}}}"


def _keep_letter(text: str) -> str:
    last = re.search(r"[A-Za-z]+$", text)
    if not last or quantities.is_unit(last[0]):
        return text
    math_verify_import.load()
    from latex2sympy2_extended.math_normalization import units_regex

    if not units_regex.search(text):
        return text
    return f"{text[:-1]}{{{text[-1]}}}"


def _figures(text: str) -> str:
    """A number without unit, exponent and separators: math-verify would multiply `5e3` as 5, e and 3."""
    read = quantities.number(text)
    if read is None or read.percent:
        return text
    top, bottom = read.value.as_integer_ratio()
    if bottom == 1:
        return str(top)
    if not read.decimal:
        return rf"{'-' * (top < 0)}\frac{{{abs(top)}}}{{{bottom}}}"
    with localcontext(prec=2 * quantities.GREATEST_EXPONENT + quantities.LONGEST):
        return format(Decimal(top) / Decimal(bottom), "f")
