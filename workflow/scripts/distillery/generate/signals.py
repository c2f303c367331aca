"""Signals that wait until they are asked for.

MindSpore puts its own SIGINT handler in place whenever it runs a graph, and that ends the process. So the
signals are held back and looked for between two steps. Every thread must hold them; threads inherit it, so
the command calls `hold` before anything else, numpy's import included.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # USR1 is what schedulers send ahead of a time limit


def hold() -> None:
    """Hold STOPS back in this thread and those that it starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)


def release(number: signal.Signals) -> None:
    """Let a held signal act again."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])


@contextmanager
def delivered(number: signal.Signals) -> Iterator[None]:
    """For a while, act on a held signal as Python does on SIGINT: raise KeyboardInterrupt."""
    signal.signal(number, signal.default_int_handler)
    former = signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def arrived(*numbers: signal.Signals) -> signal.Signals | None:
    """One of these held signals if it has come, and forget it."""
    found = signal.sigtimedwait(numbers, 0)
    return signal.Signals(found.si_signo) if found else None
