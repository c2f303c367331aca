"""Bytes done: a bar on a terminal, otherwise a line at each tenth."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from distillery.terminal_text import drawn

Step = Callable[[int], None]
LINES_FROM = 10**9  # fewer bytes are done before a line could be read


@contextmanager
def bar() -> Iterator[Callable[[int], Step]]:
    """Yield begin(total bytes) -> step(bytes done since the last call), which any thread may call."""
    if not sys.stderr.isatty():
        yield _lines
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=drawn(sys.stderr))) as shown:

        def begin(total: int) -> Step:
            task = shown.add_task("convert", total=total)
            return lambda count: shown.advance(task, count)

        yield begin


def _lines(total: int) -> Step:
    lock, done, said = threading.Lock(), 0, 0

    def step(count: int) -> None:
        nonlocal done, said
        with lock:
            done += count
            tenth = min(9, 10 * done // max(total, 1))
            if tenth > said and total >= LINES_FROM:
                said = tenth
                print(f"{done:,} of {total:,} bytes", file=sys.stderr, flush=True)

    return step
