r"""CHAMP's answers, written for people, as LaTeX that math-verify can compare.

`C(10, 5), or equivalently 252` becomes `252`, `2^floor(n/2)*floor(n/2)!` becomes
`2^{\lfloor n/2 \rfloor} \cdot \lfloor n/2 \rfloor!`. What a list of formulas would not say stays text: sentences ("No
integer solutions"), products that go on, and pairs of values that a comparison would tear apart.
"""

from __future__ import annotations

import re

# "0 (i.e., no such values)", "999 (i.e., all except for one value)", "0 (none of the values)"
REMARK = re.compile(r"\s*\((?:i\.e\.,|none|no) .*\)$")
ALTERNATIVE = re.compile(r".*, or (?:equivalently|an equivalent form such as) (.+)")
APPROXIMATION = re.compile(r"(.+), or approximately .+")
SENTENCES = (
    re.compile(r"(.+) is the only possible value"),
    re.compile(r"The limit exists and is equal to (.+)"),
    re.compile(r"The only possible value for the limit is (.+)"),
    re.compile(r"The function is periodic, with a period of (\d+)"),
    re.compile(
        r"(?:At least |At most )?(\d+|n)(?: integer-valued)? (?:inequalities|values?|numbers?|pairs|roots|zeros|times)"
    ),
)
WORD = re.compile(r"[A-Za-z]{2,}")
FUNCTIONS = {"sqrt": r"\sqrt{%s}", "floor": r"\lfloor %s \rfloor"}


def to_latex(answer: str) -> str | None:
    """The answer as LaTeX without dollar signs, or None where it stays text."""
    text = REMARK.sub("", answer.strip())
    for pattern in (ALTERNATIVE, APPROXIMATION, *SENTENCES):
        if match := pattern.fullmatch(text):
            text = match[1]
    if "..." in text:  # a product or sequence that goes on is not compared symbolically
        return None
    words = set(WORD.findall(text)) - {"xy", "yz", "xz", *FUNCTIONS, "sum", "and", "or"}
    variables = re.findall(r"(\w)=", text)
    loose_pairs = len(variables) > len(set(variables)) > 1 and "(" not in text  # "x=0, y=2 and x=9, y=11"
    if words or loose_pairs:
        return None
    return _formula(re.sub(r"\s+(?:and|or)\s+", ", ", text)).strip()


def _formula(text: str) -> str:
    text = text.replace("−", "-").replace("≥", r" \ge ").replace("±", r" \pm ").replace("*", r" \cdot ")
    made, at = "", 0
    while at < len(text):
        name = next((name for name in FUNCTIONS if text.startswith(name + "(", at)), None)
        if name:
            inside, at = _parenthesis(text, at + len(name))
            made += FUNCTIONS[name] % _formula(inside)
        elif text.startswith("C(", at):
            inside, at = _parenthesis(text, at + 1)
            upper, lower = inside.split(",")
            made += rf"\binom{{{_formula(upper.strip())}}}{{{_formula(lower.strip())}}}"
        elif text.startswith("sum", at):
            made, at = made + r"\sum", at + 3
        elif text[at] in "^_" and text[at + 1 : at + 2] == "(":
            inside, after = _parenthesis(text, at + 1)
            made, at = made + f"{text[at]}{{{_formula(inside)}}}", after
        elif match := re.match(r"\^(floor\(|\d{2,})", text[at:]):  # an exponent of more than one character
            if match[1] == "floor(":
                inside, after = _parenthesis(text, at + 6)
                made, at = made + rf"^{{\lfloor {_formula(inside)} \rfloor}}", after
            else:
                made, at = made + f"^{{{match[1]}}}", at + match.end()
        else:
            made, at = made + text[at], at + 1
    return made


def _parenthesis(text: str, at: int) -> tuple[str, int]:
    """(content, position after) of the balanced parenthesis that opens at `at`."""
    depth = 0
    for position in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth == 0:
            return text[at + 1 : position], position + 1
    raise ValueError(f"unbalanced parenthesis in {text!r}")
