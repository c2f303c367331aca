r"""Which currency an amount is in, or a percentage, before `notation` takes signs away: `$5` and `\$5` are dollars, `$5$` mathematics.

other("$5", "5 cents") is True        other("$5$", "5 cents") is False        other("5", "5€") is False
"""

from __future__ import annotations

import re

INSIDE = r"(?:\\.|[^$\\])*"
# dollars that enclose mathematics. What begins with a digit may be money, so that these are told as pandoc does: no space
# stands before the second dollar and no digit behind it, or it ends the text. `$5 and $6` are two amounts
ENCLOSED = re.compile(
    rf"(?<!\\)\$((?!\.?\d){INSIDE}(?=\$)|{INSIDE}(?<!\s)(?=\$(?!\d))|{INSIDE}(?=\$\s*$))\$", re.DOTALL
)
SIGNS = {
    "dollar": re.compile(r"(?<!HK)(?:\\\$|(?<!\\)\$\s?\.?\d)|\d\s?\$|\bdollars?\b|USD|美元"),
    "Hong Kong dollar": re.compile(r"HK\s?\\?\$|HKD|港[元币]"),
    "cent": re.compile(r"\bcents?\b|\bpenn(?:y|ies)\b|¢|美分"),
    "euro": re.compile(r"€|\\euro|\beuros?\b|欧元"),
    "pound": re.compile(r"£|\\pounds|英镑"),
    "rupee": re.compile(r"₹|\bRs\b|\brupees?\b|卢比"),
    "yuan": re.compile(r"[¥￥]|\\yen|\byuan\b|RMB|(?<![美欧日港])元"),
    "yen": re.compile(r"[¥￥]|\\yen|\byen\b|日元|円"),
    "percent": re.compile(r"%|\bpercent\b"),
}


def other(gold: str, answer: str) -> bool:
    """Whether both, as they were written, name such units and no common one."""
    named = [_named(text) for text in (gold, answer)]
    return all(named) and named[0].isdisjoint(named[1])


def _named(text: str) -> set[str]:
    bare = ENCLOSED.sub(r" \1 ", text) if "$" in text else text
    return {name for name, sign in SIGNS.items() if sign.search(bare)}
