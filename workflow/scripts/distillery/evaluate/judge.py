"""math-verify in processes of its own, with limits that a hostile or endless answer cannot pass.

math-verify's own time limit is an alarm: main thread only, counted by the clock on the wall, so that a
busy machine changes scores, and powerless inside one long C call (10**10**10). Here each worker process
has a timer of CPU time whose default action ends the process; the parent notes the answer as timed out
and starts another worker. Memory is limited the same way. Results do not depend on the workers' number.
"""

from __future__ import annotations

import logging
import multiprocessing
import resource
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

MEMORY_BYTES = 4 << 30


@dataclass(frozen=True)
class Question:
    """A gold answer (LaTeX or plain) and two readings of a generation: the box's content, and all text."""

    gold: str
    boxed: str | None
    text: str


@dataclass(frozen=True)
class Verdict:
    """`gold_is_readable` is False when math-verify finds nothing in the gold answer."""

    strict: bool = False
    lenient: bool = False
    extracted: str | None = None
    gold_is_readable: bool = True
    timed_out: bool = False


def judge(questions: Sequence[Question], workers: int = 1, cpu_seconds: float = 10.0) -> list[Verdict]:
    """One verdict for each question, in order; equal questions are judged once."""
    different = list(dict.fromkeys(questions))
    verdicts: dict[Question, Verdict] = {}
    todo = iter(different)
    running: dict[Connection, tuple[multiprocessing.Process, Question]] = {}
    for _ in range(min(workers, len(different))):
        _assign(*_start(cpu_seconds), todo, running)
    while running:
        for connection in wait(list(running)):
            process, question = running.pop(connection)
            try:
                verdicts[question] = connection.recv()
            except EOFError:  # the timer ended it
                process.join()
                verdicts[question] = Verdict(timed_out=True)
                process, connection = _start(cpu_seconds)
            _assign(process, connection, todo, running)
    return [verdicts[question] for question in questions]


def _start(cpu_seconds: float) -> tuple[multiprocessing.Process, Connection]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, cpu_seconds), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _assign(process, connection, todo, running) -> None:
    """Give the worker its next question, or send it home."""
    question = next(todo, None)
    connection.send(question)
    if question is None:
        process.join()
        connection.close()
    else:
        running[connection] = (process, question)


def _work(connection: Connection, cpu_seconds: float) -> None:
    import math_verify  # noqa: F401  before the timer starts

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that its own timer is off
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    while (question := connection.recv()) is not None:
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)  # SIGPROF ends the process
        verdict = verify(question)
        signal.setitimer(signal.ITIMER_PROF, 0)
        connection.send(verdict)


def verify(question: Question) -> Verdict:
    """Compare with math-verify, without limits. The gold is parsed as LaTeX in dollars: bare, it is misread."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse
    from math_verify import verify as equal

    gold = parse(question.gold if "$" in question.gold else f"${question.gold}$", parsing_timeout=None)
    if not gold:
        return Verdict(gold_is_readable=False)
    strict, extracted = False, None
    latex = LatexExtractionConfig(boxed_match_priority=0)
    if question.boxed is not None:
        found = parse(rf"\boxed{{{question.boxed}}}", [latex], parsing_timeout=None)
        strict, extracted = equal(gold, found, timeout_seconds=None), question.boxed
    found = parse(question.text, [latex, ExprExtractionConfig()], parsing_timeout=None)
    lenient = equal(gold, found, timeout_seconds=None)
    if extracted is None and found:
        extracted = str(found[-1])
    return Verdict(strict, strict or lenient, extracted)
