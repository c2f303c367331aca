"""Limits that a process puts on itself, below those that its user has put on it."""

from __future__ import annotations

import resource
import signal

# what a process does to itself; every other signal comes from outside
CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP}


def at_most(kind: int, most: int) -> int:
    """Lower a limit; the user's own, where it is lower, cannot be raised and holds. Returns the one that holds."""
    hard = resource.getrlimit(kind)[1]
    holds = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (holds, hard))
    return holds


def ended(status: int) -> str:
    """`signal SIGKILL` for -9, `exit code 7` for 7."""
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"
