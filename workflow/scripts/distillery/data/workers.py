"""A function over a stream in several processes, results in the order of the input, a bounded number under way."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from distillery.problems import Problem

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 2  # blocks under way per process: one in work, one waiting
_work: Callable[[Any], Any]


def ordered(
    work: Callable[[Item], Result], items: Iterable[Item], processes: int
) -> Iterator[tuple[Item, Result]]:
    """(item, work(item)) for each item in order, whatever the number of processes.

    Processes are forked before the first item, so that they share what `work` has loaded. That is safe because
    nothing has started a thread by then, and the work itself starts none.

    Raises:
        Problem: a process died, as when the machine is out of memory.
    """
    if processes <= 1:
        for item in items:
            yield item, work(item)
        return
    global _work
    _work = work
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, context, initializer=_start, initargs=(os.getpid(),)) as pool:
        waiting: deque[tuple[Item, Future[Result]]] = deque()
        try:
            for item in items:
                waiting.append((item, pool.submit(_run, item)))
                if len(waiting) >= processes * AHEAD:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        except BrokenProcessPool:
            raise Problem(
                "a worker process died",
                where=f"--workers {processes}",
                found="it was killed from outside, most often because memory ran out",
                fix="run with fewer --workers",
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start(parent: int) -> None:
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: int) -> None:
    """End with the parent: a worker that waits for work does not notice that a kill -9 took it."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _run(item: Any) -> Any:
    return _work(item)


def with_progress(stream: Iterator[tuple[Any, Any]], interval: int) -> Iterator[tuple[Any, Any]]:
    """Pass the stream on; report rows done on standard error, as a bar on a terminal and else every `interval` rows."""
    began, rows, tokens, shown = time.monotonic(), 0, 0, 0
    bar = None
    try:
        for item, part in stream:
            if bar is None and sys.stderr.isatty():
                bar = _bar()  # not before the processes are forked: it is a thread
            yield item, part
            rows += part.seen
            tokens += part.size
            seconds = max(time.monotonic() - began, 1e-9)
            if bar:
                bar[0].update(
                    bar[1], completed=rows, description=f"{rows} rows, {tokens / seconds / 1e6:.2f} Mtok/s"
                )
            elif interval and rows // interval > shown:
                shown = rows // interval
                print(
                    f"processed {rows} rows ({rows / seconds:.0f} rows/s, {tokens / seconds / 1e6:.2f} Mtok/s)",
                    file=sys.stderr,
                    flush=True,
                )
    finally:
        if bar:
            bar[0].stop()


def _bar() -> tuple[Any, Any]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    progress = Progress(*columns, console=Console(stderr=True))
    progress.start()
    return progress, progress.add_task("0 rows", total=None)
