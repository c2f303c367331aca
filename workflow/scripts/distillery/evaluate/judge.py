"""One answer against its gold answer: read, compared by math-verify, inside the limits of `limited_workers`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from distillery.evaluate import extraction
from distillery.evaluate.limited_workers import Fate, answers


@dataclass(frozen=True)
class Question:
    """A gold answer (LaTeX or plain), and a generation: what the model wrote, why it stopped, whether its prompt
    had opened a thought; `name` is the problem's, for messages."""

    gold: str
    text: str
    stop: str = "eos"
    thinking: bool = False
    name: str = ""


@dataclass(frozen=True)
class Verdict:
    """`gold_is_readable` is False when math-verify finds nothing in the gold answer."""

    strict: bool = False
    lenient: bool = False
    extracted: str | None = None
    gold_is_readable: bool = True
    timed_out: bool = False
    crashed: bool = False


def judge(
    questions: Iterable[Question], workers: int = 1, cpu_seconds: float = 10.0
) -> Iterator[tuple[int, Verdict]]:
    """Yield (number of the question, its verdict) as they come.

    Raises:
        Problem: a worker was ended from outside, again when its question was asked again.
    """
    fates = {Fate.TIMED_OUT: Verdict(timed_out=True), Fate.CRASHED: Verdict(crashed=True)}
    found = answers(
        verify,
        questions,
        workers=workers,
        cpu_seconds=cpu_seconds,
        prepare=load,
        name=lambda question: f"problem {question.name}",
    )
    for number, answer in found:
        yield number, fates[answer] if isinstance(answer, Fate) else answer


def load() -> None:
    """Import math-verify, which takes half a second and shall not count as an answer's time."""
    import math_verify  # noqa: F401

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that its own timer is off


def verify(question: Question) -> Verdict:
    """Read and compare, without limits. The gold is parsed as LaTeX in dollars: bare, it is misread."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse
    from math_verify import verify as equal

    reading = extraction.read(question.text, question.stop, question.thinking)
    gold = parse(question.gold if "$" in question.gold else f"${question.gold}$", parsing_timeout=None)
    if not gold:
        return Verdict(gold_is_readable=False)
    strict, extracted = False, reading.boxed
    latex = LatexExtractionConfig(boxed_match_priority=0)
    if reading.boxed is not None:
        found = parse(rf"\boxed{{{reading.boxed}}}", [latex], parsing_timeout=None)
        strict = equal(gold, found, timeout_seconds=None)
    lenient = strict
    if not strict:
        found = parse(reading.text, [latex, ExprExtractionConfig()], parsing_timeout=None)
        lenient = equal(gold, found, timeout_seconds=None)
        if extracted is None and found:
            extracted = str(found[-1])
    return Verdict(strict, lenient, extracted)
