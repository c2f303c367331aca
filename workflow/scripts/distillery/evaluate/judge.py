r"""One answer against its gold answer: read, then compared by our rules, else by math-verify, inside limits.

Two readings (see `extraction`), and for the strict one two verdicts: `strict`, ours, and `math_verify`, what math-verify
says of the same box without any rule or normal form of ours. With `plain` the latter is the verdict. `rule` names what
decided: one of `rules`, "math-verify", "exact value" (see `exactness`), or "no answer" where the strict reading has none.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from distillery.evaluate import (
    currencies,
    exactness,
    extraction,
    math_verify_import,
    notation,
    prepared_texts,
    rules,
    simple_forms,
)
from distillery.evaluate.limited_workers import Fate, answers

SEARCHED = 4000  # last characters of a text without box, among which math-verify looks for an answer
logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that its own timer is off


@dataclass(frozen=True)
class Question:
    """A gold answer as `golds.read` gives it, and a generation.

    Of the generation: what the model wrote, why it stopped, whether its prompt had opened a thought; `name` is the
    problem's, for messages.
    """

    gold: str
    text: str
    stop: str = "eos"
    thinking: bool = False
    name: str = ""


@dataclass(frozen=True)
class Verdict:
    """How a generation compares with its gold, by two readings.

    Attributes:
    strict, lenient: whether the answer of that reading is the gold.
    boxed, found: the answer of the strict and of the lenient reading, or None.
    rule: what decided the strict verdict.
    math_verify: its own verdict on the same box; None where there is none.
    """

    strict: bool = False
    lenient: bool = False
    boxed: str | None = None
    found: str | None = None
    rule: str = "no answer"
    math_verify: bool | None = None
    timed_out: bool = False
    crashed: bool = False


READ_AT_ONCE = 32  # answers without a verdict whose texts are kept in memory
FATES = {
    Fate.TIMED_OUT: Verdict(timed_out=True, rule="out of time"),
    Fate.CRASHED: Verdict(crashed=True, rule="crashed"),
}


def judge(
    questions: Iterable[Question], workers: int = 1, cpu_seconds: float = 10.0, plain: bool = False
) -> Iterator[tuple[int, Verdict]]:
    """Yield (number of the question, its verdict) as they come.

    An answer that is out of time or crashed keeps what it says, so that a human can decide on it.

    Args:
        plain: math-verify alone decides.

    Raises:
        Problem: a worker was ended from outside, again when its question was asked again.
    """
    asked: dict[int, Question] = {}
    lost: list[tuple[int, Verdict]] = []  # verdicts that did not come; what those answers say is read apart

    def watched() -> Iterator[Question]:
        for number, question in enumerate(questions):
            asked[number] = question
            yield question

    limits = {"workers": workers, "cpu_seconds": cpu_seconds, "name": lambda one: f"problem {one.name}"}
    for number, answer in answers(functools.partial(verify, plain=plain), watched(), **limits):
        if isinstance(answer, Fate):
            lost.append((number, FATES[answer]))
        else:
            del asked[number]
            yield number, answer
        if len(lost) >= READ_AT_ONCE:
            yield from _read_apart(lost, asked, limits)
    yield from _read_apart(lost, asked, limits)


def _read_apart(
    lost: list[tuple[int, Verdict]], asked: dict[int, Question], limits: dict[str, Any]
) -> Iterator[tuple[int, Verdict]]:
    """The verdicts with what the answers say, where that can be read within the limits; empties `lost`."""
    questions = [asked.pop(number) for number, _ in lost]
    for place, said in answers(read, questions, **limits):
        number, verdict = lost[place]
        yield number, verdict if isinstance(said, Fate) else replace(verdict, boxed=said[0], found=said[1])
    lost.clear()


def read(question: Question) -> tuple[str | None, str | None]:
    """(the boxed answer of the strict reading, the last box of the lenient one), without comparing either."""
    reading = extraction.read(question.text, question.stop, question.thinking)
    return reading.boxed, reading.boxed or extraction.last_box(reading.text)


def verify(question: Question, plain: bool = False) -> Verdict:
    """Read and compare, without limits."""
    reading = extraction.read(question.text, question.stop, question.thinking)
    if reading.boxed is not None:
        ours, rule, theirs = compare(question.gold, reading.boxed)
        strict, rule = (theirs, "math-verify") if plain else (ours, rule)
        return Verdict(strict, strict, reading.boxed, reading.boxed, rule, theirs)
    found = extraction.last_box(reading.text)
    if found is not None:
        ours, _, theirs = compare(question.gold, found)
        return Verdict(lenient=theirs if plain else ours, found=found)
    lenient, found = _search(question.gold, reading.text[-SEARCHED:])
    return Verdict(lenient=lenient, found=found)


@functools.lru_cache(maxsize=10_000)
def compare(gold: str, answer: str) -> tuple[bool, str, bool]:
    """(whether the answer is the gold, the rule that says so, what math-verify alone says)."""
    ours = notation.normal(gold), notation.normal(answer)
    decision = (False, "number") if currencies.other(gold, answer) else rules.decide(*ours)
    theirs = simple_forms.verdict(gold, answer)
    raw = None
    if theirs is None:
        raw = _gold(gold), _box(answer)
        theirs = equal(*raw)
    if decision:
        return *decision, theirs
    prepared = prepared_texts.prepared(*ours)
    if simple_forms.verdict(*prepared) is False:
        return False, "math-verify", theirs
    parsed = tuple(parse(text) for parse, text in zip((_gold, _box), prepared, strict=True))
    if not (theirs if parsed == raw else equal(*parsed)):
        return False, "math-verify", theirs
    if parsed[0] and parsed[1] and exactness.differ(parsed[0][0], parsed[1][0]):
        return False, "exact value", theirs
    return True, "math-verify", theirs


def parses(gold: str) -> bool:
    """Whether math-verify reads an expression in a gold, and not only its text."""
    return any(not isinstance(found, str) for found in _gold(prepared_texts.prepared(gold, gold)[0]))


def equal(gold: list[Any], answer: list[Any]) -> bool:
    """math-verify's verdict on what it has parsed."""
    math_verify_import.load()
    from math_verify import verify as verified

    return bool(verified(gold, answer, timeout_seconds=None))


@functools.lru_cache(maxsize=10_000)
def _gold(text: str) -> list[Any]:
    """A gold as math-verify parses it: LaTeX in dollars, for bare it is misread."""
    math_verify_import.load()
    from math_verify import parse

    return parse(text if "$" in text else f"${text}$", parsing_timeout=None)


@functools.lru_cache(maxsize=10_000)
def _box(text: str) -> list[Any]:
    math_verify_import.load()
    from math_verify import LatexExtractionConfig, parse

    return parse(rf"\boxed{{{text}}}", [LatexExtractionConfig(boxed_match_priority=0)], parsing_timeout=None)


def _search(gold: str, text: str) -> tuple[bool, str | None]:
    """What math-verify finds in a text without box: whether it is the gold, and how it reads it."""
    math_verify_import.load()
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    found = parse(
        text, [LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig()], parsing_timeout=None
    )
    if not found:
        return False, None
    shown, gold = str(found[-1]), notation.normal(gold)
    known = simple_forms.verdict(gold, shown) if len(found) == 2 and "%" not in text else None
    return (bool(equal(_gold(gold), found)) if known is None else known), shown
