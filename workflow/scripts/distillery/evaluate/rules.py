r"""Our own rules of equality, which go before math-verify where it errs. False rights are worse than false wrongs.

    decide(gold, answer) -> (True or False, the rule's name), or None: math-verify is to say

Both texts are in the normal form of `notation`. In order:

same text    The same characters, spaces aside. Also for golds that math-verify cannot parse (Chinese words, logic).
choice       The gold names a choice: `C`, `(C)`, `\text{(C)}`, `C. 12`, or several, `ABD`, `(1)(3)`. Where the answer
             names one too, as in `\textbf{(C)}\ 12`, the letters are compared; else what stands beside the gold's letter.
             An answer `\textbf{(C)}\ 12` to a gold without a letter is its 12. math-verify takes `(1)(3)(4)` for 8.
partial      A bound is no number: `5 or more`, `\ge 5`, `5+`; nor is a list with dots within the one without.
number       Both are numbers as `quantities` reads them, in no other currency. math-verify multiplies `1 1/2` and `5e3`, drops the units of
             `5 cm` and `5 m`, and takes numbers as equal that agree in six places, 0.0000012 and 0.0000014.
list         Numbers in any order, each with its unit: math-verify takes `35 cm, 4` for 35, c, m and 4. `1,000` is no list.
named        `m = 5, n = 6` is `5, 6` and not `6, 5`.
base         `12_5` and `12_7` differ. A base that the answer leaves out is taken to be the gold's.
ratio        `2:4` is `1:2`; times such as `12:00` are compared as text.
solution set `x \ge 2` is `[2,\infty)`, which math-verify may parse as a relation and an interval.
words        Words and names are compared as text: math-verify multiplies their letters, so that `BA` is `AB`, `on` is `no`.
brackets     `(3,4)` is not `3,4`: a point, vector or interval is not a list or a set.
"""

from __future__ import annotations

import re

from distillery.evaluate import lists, notation, partial_answers, quantities, solution_sets

Decision = tuple[bool, str]

LETTER = re.compile(r"\(\s*([A-J])\s*\)|([A-J])")
# `A: B` is a ratio
LABELLED = re.compile(
    r"(?:\(\s*([A-J])\s*\)|([A-J])\s*(?:[.)]|:(?!\s*[A-Za-z]\s*$)))\s*[:,.]?\s*(?P<content>.+)"
)
CALLED = re.compile(
    r"(?:(?i:(?:the )?(?:option|choice|answer)(?: is)?:?)|选项?|故选:?|(?:故?答案)(?:[是为选]|:)?)\s*\(?([A-J])\)?"
)
LETTERS = re.compile(r"[A-H](?:\s*[, ]\s*[A-H])+")
ROMANS = re.compile(r"(?:I{1,3}|IV|V)(?:\s*(?:[,&]|\band\b)+\s*(?:I{1,3}|IV|V))+")
STATEMENTS = re.compile(r"\(\d{1,2}\)(?:[\s,]*\(\d{1,2}\))+")
BASED = re.compile(r"([0-9A-F]+(?:\.[0-9A-F]+)?)\s*_\s*\{?\s*(?:\\text\s*\{\s*)?(\d{1,2}|[a-z]+)\s*\}{0,2}")
BASES = {
    name: base
    for base, name in enumerate(
        "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split(),
        2,
    )
}
TIME = re.compile(r"\d{1,2}\s*:\s*[0-5]\d(?:\s*:\s*[0-5]\d)?")
TO = re.compile(r"\s*\\text\s*\{\s*to\s*\}\s*|(?<=\d) to (?=\d)")
# one letter, or words of which one has two letters at least: `p q` is a product, `p-q` a difference
WORDS = re.compile(
    r"[A-Za-z]|(?=.*[A-Za-z]{2})[A-Za-z](?:[A-Za-z'. ]|(?<=[A-Za-z]{2})-(?=[A-Za-z]{2}))*[A-Za-z]"
)
NO_CASE = {"yes", "no", "true", "false", "none", "odd", "even"}
ASSIGNED = re.compile(
    r"\\?[A-Za-z]+'?\s*(?:_\s*\{?\w+\}?)?\s*(?:\([A-Za-z]\))?\s*(?:=|\\approx(?![A-Za-z])|\\in(?![A-Za-z]))\s*"
)
RELATION = re.compile(r"[=<>]|\\(?:in|le|ge|neq|approx)(?![A-Za-z])")
NAMED = re.compile(r"\([A-Za-z][^()]*\)\s*=\s*")
APPROX = re.compile(r"\s*\\approx(?![A-Za-z])\s*")
UNITS = re.compile(
    r"(?<=[\d})])\s*(?:\\;)?(?:[cdk]m|mm|kg|mg|m[lL]|ft|km/h|mph)(?:\s*\^\s*\{?\s*[23]\s*\}?)?$|(?<=[\d})])\s*[\u4e00-\u9fff]{1,4}$"
)


def decide(gold: str, answer: str) -> Decision | None:
    """Whether the answer is the gold by one of the rules above, or None."""
    if notation.squeezed(gold) == notation.squeezed(answer):
        return True, "same text"
    chosen = _choice(gold, answer)
    if chosen is not None:
        return chosen, "choice"
    gold, answer = pair(gold, answer)
    if notation.squeezed(gold) == notation.squeezed(answer):
        return True, "same text"
    decided = ((rule(gold, answer), name) for name, rule in RULES.items())
    return next((found for found in decided if found[0] is not None), None)


def pair(gold: str, answer: str) -> tuple[str, str]:
    """Both sides without what only one of them says: the letter of a choice, `x =`, `\\approx 0.33` after the value."""
    letters, contents = zip(*(_label(text) for text in (gold, answer)), strict=True)
    if bool(letters[0]) != bool(letters[1]):
        gold, answer = contents[0] or gold, contents[1] or answer
    gold, answer = (_exact(text) for text in (gold, answer))
    for one, other in ((gold, answer), (answer, gold)):
        found = ASSIGNED.match(one)
        if found and not RELATION.search(one[found.end() :] + other) and "," not in one + other:
            return (one[found.end() :], other) if one is gold else (other, one[found.end() :])
    return gold, answer


def _exact(text: str) -> str:
    before, *after = APPROX.split(text)
    return after[0] if after and (not before or ASSIGNED.fullmatch(before + "=")) else before


def names_a_choice(text: str) -> bool:
    """Whether a gold names one choice or several."""
    return bool(_label(text)[0] or _many(notation.unwrapped(text)))


def is_words(text: str) -> bool:
    """Whether a gold is words, compared letter by letter."""
    return bool(WORDS.fullmatch(notation.unwrapped(text)))


def _label(text: str) -> tuple[str, str]:
    """(letter, what stands beside it) of a choice, or ("", text)."""
    bare = notation.unwrapped(text)
    if found := LETTER.fullmatch(bare) or CALLED.fullmatch(bare):
        return next(filter(None, found.groups())), ""
    if found := LABELLED.fullmatch(bare):
        return found[1] or found[2], found["content"]
    return "", text


def _choice(gold: str, answer: str) -> bool | None:
    letters = [_label(text)[0] for text in (gold, answer)]
    if all(letters):
        return letters[0] == letters[1]
    bare = [notation.unwrapped(text) for text in (gold, answer)]
    many = [_many(text) for text in bare]
    if any(map(STATEMENTS.fullmatch, bare)):  # (1)(3)(4) is no product, and no sum as math-verify has it
        return (many[0] or set(notation.parts(bare[0]))) == (many[1] or set(notation.parts(bare[1])))
    return many[0] == many[1] if all(many) else None


def _many(text: str) -> set[str] | None:
    """The choices or statements that a text lists: `A, C`, `AC` in the order of the alphabet, `(1)(3)`."""
    if STATEMENTS.fullmatch(text):
        return set(re.findall(r"\d+", text))
    if ROMANS.fullmatch(text):
        return set(re.findall("[IV]+", text))
    if LETTERS.fullmatch(text) or (re.fullmatch(r"[A-H]{2,}", text) and list(text) == sorted(set(text))):
        return set(re.findall("[A-H]", text))
    return None


def _number(gold: str, answer: str) -> bool | None:
    numbers = [quantities.number(text) for text in (gold, answer)]
    if numbers[0] and not numbers[1]:  # `5 m` to the gold 5
        numbers[1] = quantities.number(answer, lone=True)
    elif numbers[1] and not numbers[0]:  # `5 \text{ m}` to the gold `5 m`
        lone = quantities.number(gold, lone=True)
        numbers[0] = lone if lone and lone.unit == numbers[1].unit else None
    if not all(numbers):
        return None
    return quantities.equal(*numbers) and quantities.same_unit(*numbers)


def _base(gold: str, answer: str) -> bool | None:
    found = [BASED.fullmatch(text) for text in (gold, answer)]
    bases = [it and (int(it[2]) if it[2].isdigit() else BASES.get(it[2])) for it in found]
    digits = [
        text if base is None else it[1] for it, base, text in zip(found, bases, (gold, answer), strict=True)
    ]
    if bases == [None, None] or not all(re.fullmatch(r"[0-9A-F.]+", text) for text in digits):
        return None
    # an answer may leave the base out; a gold that has none is in base ten
    return digits[0] == digits[1] and (
        bases[0] == bases[1] or bases[1] is None or (bases[0] is None and bases[1] == 10)
    )


def _ratio(gold: str, answer: str) -> bool | None:
    gold, answer = (TO.sub(":", text) for text in (gold, answer))
    if ":" not in gold or ":" not in answer:
        return None
    if TIME.fullmatch(gold) and TIME.fullmatch(answer):
        return notation.squeezed(gold) == notation.squeezed(answer)
    sides = [[quantities.number(part.strip()) for part in text.split(":")] for text in (gold, answer)]
    if not all(part and part.value for side in sides for part in side):
        return None
    first, second = ([part.value for part in side] for side in sides)
    return len(first) == len(second) and all(
        a * second[0] == b * first[0] for a, b in zip(first, second, strict=True)
    )


def _words(gold: str, answer: str) -> bool | None:
    first, second = (notation.unwrapped(text) for text in (gold, answer))
    if notation.CHINESE.search(first + second):
        if notation.squeezed(first) == notation.squeezed(second):
            return True
        bare = [UNITS.sub("", text) for text in (first, second)]
        return False if notation.CHINESE.search("".join(bare)) else None
    if not (WORDS.fullmatch(first) and WORDS.fullmatch(second)):
        return None
    first, second = (re.sub(r"[ \-]", "", text) for text in (first, second))
    if first == second:
        return True
    if first.lower() != second.lower():
        return False
    # Evelyn is evelyn, but the triangle ABC is not the product abc
    return first.lower() in NO_CASE or (len(first) > 2 and not first.isupper() and not second.isupper())


def _brackets(gold: str, answer: str) -> bool | None:
    shapes = {_shape(gold), _shape(answer)}
    return False if "tuple" in shapes and shapes & {"list", "set"} else None


def _shape(text: str) -> str:
    text = NAMED.sub("", text, count=1)
    items = notation.parts(text)
    if len(items) > 1:
        return "values" if all(ASSIGNED.match(item) for item in items) else "list"
    opening = re.match(r"\\\{|[({\[]", text)
    if not opening or not re.search(r"[)}\]]$", text):
        return "other"
    inside = text[opening.end() : -1].removesuffix("\\")
    depth = 0
    for character in inside:  # the first bracket closes at the end and not before
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return "other"
    if len(notation.parts(inside)) < 2:
        return "other"
    return "set" if "{" in opening[0] else "tuple"


def _list(gold: str, answer: str) -> bool | None:
    return lists.same(gold, answer)


def _partial(gold: str, answer: str) -> bool | None:
    return False if partial_answers.differ(gold, answer) else None


RULES = {
    "partial": _partial,
    "number": _number,
    "list": _list,
    "named": partial_answers.in_order,
    "base": _base,
    "ratio": _ratio,
    "solution set": solution_sets.same,
    "words": _words,
    "brackets": _brackets,
}
