"""The limit of CPU seconds (ulimit -t): heard before it kills, so that a command can say so and leave nothing half-written."""

from __future__ import annotations

import resource
import signal
import threading

from distillery.problems import Problem

NAME = "the limit of CPU seconds (ulimit -t)"
# seconds between the signal that says so and the one that kills, where both were to come at once, as the shell's ulimit has it
SPARE = 5


class Spent(BaseException):
    """The limit is reached. No Exception, so that nothing takes it for what a library failed at."""


def heed() -> None:
    """From now on this process, and those forked from it, raise `Spent` in their main thread when the limit comes.

    Not where another thread calls, as one that runs a command within a larger program: only the main one hears signals.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    signal.signal(signal.SIGXCPU, _spent)
    if soft == hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_CPU, (max(hard - SPARE, 1), hard))


def _spent(number: int, frame: object) -> None:
    # the system says so every second from now on: what has to be removed is removed in peace
    signal.signal(number, signal.SIG_IGN)
    raise Spent


def problem() -> Problem:
    """What to say of it."""
    found = resource.getrusage(resource.RUSAGE_SELF)
    return Problem(
        f"{NAME} is reached",
        found=f"{found.ru_utime + found.ru_stime:.0f} CPU seconds",
        wanted="nothing half-written was left",
        fix="raise the limit, and run the same command again",
    )
