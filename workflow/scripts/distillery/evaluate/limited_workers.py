"""Questions answered in processes of their own, under limits that a hostile or endless question cannot pass.

    for number, answer in answers(function, questions, workers=2, cpu_seconds=10): ...

Each worker has a timer of CPU time whose default action ends the process: it holds inside one long C call, and a busy
machine does not move it, as a clock on the wall would. Memory is limited the same way. A worker that ends in any other
way is no statement about its question: the question is asked once more, and only then it is a crash, or, where the
signal came from outside, the end of the command. Answers do not depend on the workers' number. What a function loads when
a question first needs it is `untimed`: it is no question's time, and what it cannot load is no question's fault.
"""

from __future__ import annotations

import enum
import itertools
import multiprocessing
import resource
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from distillery import process_limits
from distillery.problems import Problem

MEMORY_BYTES = 4 << 30
CHUNK = 16  # questions a message: fewer and the parent's turn is waited for
READY = "ready"
UNPREPARED = 78  # a worker's exit code where `untimed` failed: EX_CONFIG of sysexits.h


class Fate(enum.Enum):
    """Why a question has no answer."""

    TIMED_OUT = "timed out"
    CRASHED = "crashed"


@dataclass
class _Worker:
    process: SpawnProcess
    pending: deque[tuple[int, Any]]  # (number, question), the one at work first
    ready: bool = False
    heard: float = field(
        default_factory=time.monotonic
    )  # when it last said something, thus began a question at the latest


def answers(
    function: Callable[[Any], Any],
    questions: Iterable[Any],
    *,
    workers: int = 1,
    cpu_seconds: float = 10.0,
    name: Callable[[Any], str] = repr,
) -> Iterator[tuple[int, Any]]:
    """Yield (number of the question, `function(question)` or a `Fate`) as they come, each once.

    Args:
        function: of a module.
        questions: read as workers become free, so that they need not fit in memory.
        cpu_seconds: for one question.
        name: of a question, for a message.

    Raises:
        Problem: a worker does not start, or was ended from outside twice with the same question.
    """
    todo = _Todo(questions)
    running: dict[Connection, _Worker] = {}
    try:
        for _ in range(workers):
            if chunk := todo.take():
                _start(running, chunk, function, cpu_seconds)
        while running:
            for connection in wait(list(running)):
                worker = running[connection]
                try:
                    message = connection.recv()
                except (EOFError, OSError):  # also in the midst of a message
                    del running[connection]
                    connection.close()
                    yield from _bury(worker, todo, name, cpu_seconds)
                    if chunk := todo.take():
                        _start(running, chunk, function, cpu_seconds)
                    continue
                worker.heard = time.monotonic()
                if worker.ready:
                    yield worker.pending.popleft()[0], message
                worker.ready = True
                if not worker.pending:
                    worker.pending.extend(todo.take())
                    _send(connection, list(worker.pending))
                    if not worker.pending:
                        worker.process.join()
                        del running[connection]
                        connection.close()
    finally:
        for worker in running.values():
            worker.process.kill()
            worker.process.join()


def untimed(prepare: Callable[[], None]) -> None:
    """Run what a question turns out to need, its timer stopped; where that fails, a worker counts as one that does not start."""
    left, _ = signal.setitimer(signal.ITIMER_PROF, 0)
    try:
        prepare()
    except Exception:
        if multiprocessing.parent_process() is None:
            raise
        traceback.print_exc()
        sys.exit(UNPREPARED)
    signal.setitimer(signal.ITIMER_PROF, left)


class _Todo:
    """Questions still to be asked: those to be asked again first."""

    def __init__(self, questions: Iterable[Any]) -> None:
        self.rest = enumerate(questions)
        self.again: deque[tuple[int, Any]] = deque()
        self.failed: set[int] = set()

    def take(self) -> deque[tuple[int, Any]]:
        chunk = deque(itertools.islice(self.rest, CHUNK)) if not self.again else deque([self.again.popleft()])
        while self.again and len(chunk) < CHUNK:
            chunk.append(self.again.popleft())
        return chunk


def _start(running, chunk, function, cpu_seconds) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, function, cpu_seconds), daemon=True)
    process.start()
    theirs.close()
    running[ours] = _Worker(process, chunk)
    _send(ours, list(chunk))


def _send(connection: Connection, chunk: list[tuple[int, Any]]) -> None:
    """Hand over questions; none ends the worker. A worker that is dead by now is noticed when it is heard."""
    try:
        connection.send([question for _, question in chunk])
    except OSError:
        return


def _bury(
    worker: _Worker, todo: _Todo, name: Callable[[Any], str], cpu_seconds: float
) -> Iterator[tuple[int, Fate]]:
    """Account for a worker that ended with questions: what is known of the first, and the rest is asked again."""
    worker.process.join()
    code = worker.process.exitcode
    started = worker.ready and code != UNPREPARED
    number, question = worker.pending[0]
    once_more = number not in todo.failed
    todo.failed.add(number)
    # the timer's signal may be sent from outside as well; it cannot have run out before as much time has passed, and when
    # this process was late in hearing, the question is asked once more for nothing
    spent = time.monotonic() - worker.heard >= cpu_seconds
    if worker.ready and code == -signal.SIGPROF and (spent or not once_more):
        fate = Fate.TIMED_OUT
    elif once_more:
        fate = None
    elif started and (code >= 0 or -code in process_limits.CRASHES):
        fate = Fate.CRASHED
    else:
        raise Problem(
            "a process that compares answers was ended from outside, twice"
            if started
            else "a process that compares answers does not start",
            where=name(question),
            found=process_limits.ended(code),
            wanted="only the limit of CPU time ends such a process",
            fix="see whether the machine ran out of memory, then run the same command again; no score was written",
        )
    if fate:
        worker.pending.popleft()
        yield number, fate
    todo.again.extend(worker.pending)


def _work(connection: Connection, function, cpu_seconds: float) -> None:
    process_limits.at_most(resource.RLIMIT_AS, MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    connection.send(READY)
    try:
        while chunk := connection.recv():
            for question in chunk:
                signal.setitimer(signal.ITIMER_PROF, cpu_seconds)  # SIGPROF ends the process
                try:
                    answer = function(question)
                except Exception as error:  # its text may be the answer's: a terminal must not see it raw
                    print(f"a comparison failed with {type(error).__name__}", file=sys.stderr, flush=True)
                    answer = Fate.CRASHED
                signal.setitimer(signal.ITIMER_PROF, 0)
                connection.send(answer)
    except (EOFError, OSError):  # the parent is gone
        return
