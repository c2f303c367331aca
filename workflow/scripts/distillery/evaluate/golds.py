"""Gold answers as problem sets give them: the one home for reading them.

    read(27.0) == "27"        read(["2", "5"]) == "2, 5"        read("... #### 18") == "18"        read(None): Unreadable

Texts come with words or delimiters around mathematics, as whole solutions that end in a box, after `####` or in "The final answer is ...", typed columns
as numbers and lists. What holds no answer is `Unreadable`, an error of the problem set: `unreadable` lists all of a set.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from distillery.evaluate import extraction, notation, quantities

# of Minerva's prompts; the last such sentence
FINAL = re.compile(
    r".*final answer(?: is|:)+\s*([^\n]+?)\s*\.?\s*(?:I hope it is correct.*)?$",
    re.IGNORECASE | re.DOTALL,
)
SOLUTION_END = "####"  # of GSM8K: the answer follows
# what people write where there is no answer to compare with
EMPTY = set(
    "none|null|nan|n/a|na|unknown|proof|see solution|omitted|not applicable|见解析|略|证明见解析|证明略|无|解析|见答案".split(
        "|"
    )
)
PLACEHOLDER = re.compile(r"(?:_+|\.{2,}|\\ldots|…+|\?+|x{3,}|<[^<>]*>)", re.IGNORECASE)


class Unreadable(ValueError):
    """A gold that holds no answer; the text says why."""


def read(value: Any) -> str:
    """The answer's text, as scores show it.

    Args:
        value: of the answer's column: text, a number, or a list of such, of which all belong to the answer.

    Raises:
        Unreadable: nothing, NaN, an object, a truth value, empty text, braces that do not balance.
    """
    if isinstance(value, str):
        return _text(value)
    if hasattr(value, "item") and not isinstance(value, (list, tuple)):  # a scalar of numpy or Arrow
        value = value.item() if getattr(value, "ndim", 0) == 0 else value.tolist()
    if value is None or isinstance(value, (bool, dict)):
        kinds = {dict: "an object", bool: "a truth value"}
        raise Unreadable(kinds.get(type(value), "nothing"))
    if isinstance(value, (int, float, Decimal, Fraction)):
        return _number(value)
    if isinstance(value, Iterable):
        return _list(list(value))
    raise Unreadable(f"a {type(value).__name__}")


def unreadable(answers: Iterable[Any]) -> dict[int, str]:
    """Why the answers of these rows (counted from 0) cannot be read."""
    found = {}
    for number, answer in enumerate(answers):
        try:
            read(answer)
        except Unreadable as error:
            found[number] = str(error)
    return found


def _text(text: str) -> str:
    if SOLUTION_END in text:
        text = text.rpartition(SOLUTION_END)[2]
    box = extraction.last_box(text)
    if box is None and (stated := FINAL.search(text)):
        text = stated[1]
    text = (text if box is None else box).strip()
    content = notation.normal(text)
    if not content or not re.search(r"\w|\\[A-Za-z]", content):
        raise Unreadable("no answer in the text")
    if content.lower() in EMPTY or PLACEHOLDER.fullmatch(content):
        raise Unreadable("a word for no answer")
    if "\\boxed" in text or "\\fbox" in text or not _balances(text):
        raise Unreadable("braces that do not balance: no answer in a box could be equal to it")
    return text


def _balances(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"\\.|[{}]", text, re.DOTALL):
        depth += (brace == "{") - (brace == "}")
        if depth < 0:
            return False
    return depth == 0


def _number(value: int | float | Decimal | Fraction) -> str:
    if isinstance(value, Fraction):
        return str(value)
    if not math.isfinite(value):
        raise Unreadable("NaN or infinite")
    plain = format(Decimal(repr(value) if isinstance(value, float) else value), "f")  # 1e-05 is 0.00001
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _list(values: list[Any]) -> str:
    """The only one of a list, or all as a list of mathematics; lists within it are tuples."""
    if not values:
        raise Unreadable("an empty list")
    if len(values) == 1:
        return read(values[0])
    return ", ".join(_item(value) for value in values)


def _item(value: Any) -> str:
    if isinstance(value, (list, tuple)) and len(value) > 1:
        return f"({_list(list(value))})"
    text = read(value)
    number = quantities.number(notation.normal(text))
    # a comma within a number would part it in two
    return text.replace(",", "") if number else text
