"""Work on spans in several processes: facts come back in the order of the spans, and loads stay where they were made.

Each process takes a span of its own. For each part of it, it sends the facts, which are light, and keeps the load, which
is heavy, until its turn comes: then it is told where the load belongs, and writes it there itself. So nothing heavy
crosses a pipe, nothing is written twice, no process waits for another's work, and the outputs are the same for any
number of processes. One that is too far ahead of its turn waits when it holds HELD bytes.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from distillery.problems import Problem

Span = TypeVar("Span")
Fact = TypeVar("Fact")
Load = TypeVar("Load", bound=dict)  # of arrays
HELD = 64 << 20  # bytes
PARTS = 64  # held at most, so that what is sent to a busy process always fits into its pipe
END = "end of the span"


def ordered(
    work: Callable[[Span], Iterator[tuple[Fact, Load]]],
    spans: Iterable[Span],
    take: Callable[[Span, Fact], Any],
    write: Callable[[Load, Any], None],
    processes: int,
) -> None:
    """`write(load, take(span, fact))` for each (fact, load) of `work(span)`; `take` here and in order.

    Processes are forked before the first span, so that they share what `work` has loaded and the files that `write`
    writes to. That is safe because nothing has started a thread by then but pyarrow, which makes its own anew in a fork, where a
    csv file's rows were counted; and the work itself starts none.

    Raises:
        Problem: a process died, as when the machine is out of memory; or the first that `work` raised.
        OSError: the first that `write` raised.
    """
    if processes <= 1:
        for span in spans:
            for fact, load in work(span):
                write(load, take(span, fact))
        return
    with _forked(work, write, processes) as pipes:
        try:
            _direct(pipes, iter(spans), take)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise Problem(
                "a worker process died",
                where=f"--workers {processes}",
                found="it was killed from outside, most often because memory ran out",
                fix="run with fewer --workers",
            ) from None


@dataclass
class _Turn:
    """A span under way: what its process has told and was not yet taken."""

    span: Any
    pipe: Connection
    told: deque[Any] = field(default_factory=deque)


def _direct(pipes: list[Connection], spans: Iterator[Any], take: Callable[[Any, Any], Any]) -> None:
    """The parent's part: hand out spans, take facts in order, answer each with the place of its load."""
    idle, at = deque(pipes), dict[Connection, _Turn]()
    turns: deque[_Turn] = deque()
    upcoming = next(spans, None)
    while turns or upcoming is not None:
        while idle and upcoming is not None:
            pipe = idle.popleft()
            at[pipe] = _Turn(upcoming, pipe)
            turns.append(at[pipe])
            pipe.send((True, upcoming))
            upcoming = next(spans, None)  # read while the processes work
        for pipe in wait(list(at)):
            message = pipe.recv()  # type: ignore[union-attr]
            if isinstance(message, Exception) and not isinstance(message, Problem):
                raise message
            at[pipe].told.append(message)  # type: ignore[index]
            if message == END:
                idle.append(at.pop(pipe).pipe)  # type: ignore[call-overload]
        while turns and turns[0].told:
            turn = turns[0]
            message = turn.told.popleft()
            if isinstance(message, Problem):
                raise message
            if message == END:
                turns.popleft()
            else:
                turn.pipe.send((False, take(turn.span, message)))
    for pipe in pipes:
        pipe.send(None)
    for pipe in pipes:
        if isinstance(message := pipe.recv(), Exception):
            raise message


def _serve(pipe: Connection, work: Callable, write: Callable) -> None:
    """A process: messages are (True, span), (False, place of the oldest load held), or None at the end."""
    held: deque[dict] = deque()
    while (message := pipe.recv()) is not None:
        is_span, value = message
        if not is_span:
            write(held.popleft(), value)
            continue
        try:
            for fact, load in work(value):
                held.append(load)
                pipe.send(fact)
                while held and (pipe.poll() or len(held) > PARTS or _bytes(held) > HELD):
                    write(held.popleft(), pipe.recv()[1])
        except Problem as problem:
            pipe.send(problem)
        pipe.send(END)
    pipe.send(END)


def _bytes(loads: Iterable[dict]) -> int:
    return sum(array.nbytes for load in loads for array in load.values())


def _run(pipe: Connection, others: list[Connection], work: Callable, write: Callable) -> None:
    """Serve until the parent is done, or gone: then the pipe breaks, as nobody else holds its other end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent tells
    for other in others:
        other.close()
    try:
        try:
            _serve(pipe, work, write)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except OSError as error:
            pipe.send(error)
        except Exception:
            pipe.send(RuntimeError("in a worker process:\n" + traceback.format_exc()))
        while (
            True
        ):  # the parent may still be sending: it must not find a broken pipe before it has read the error
            pipe.recv()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(1)


@contextmanager
def _forked(work: Callable, write: Callable, processes: int) -> Iterator[list[Connection]]:
    """This end of a pipe to each of so many processes; they end with the block."""
    context = multiprocessing.get_context("fork")
    pipes: list[Connection] = []
    children = []
    try:
        for _ in range(processes):
            ours, theirs = context.Pipe()
            pipes.append(ours)
            child = context.Process(target=_run, args=(theirs, list(pipes), work, write), daemon=True)
            child.start()
            children.append(child)
            theirs.close()
        yield pipes
    finally:
        for pipe in pipes:
            pipe.close()
        for child in children:
            child.kill()
            child.join()
