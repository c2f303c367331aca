"""Limits that a process puts on itself, below those that its user has put on it."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

# what a process does to itself; every other signal comes from outside
CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP}

STACK = 2 << 20  # bytes that glibc gives a thread where the limit of stacks is none, on x86-64 and ARM


def at_most(kind: int, most: int) -> int:
    """Lower a limit; the user's own, where it is lower, cannot be raised and holds. Returns the one that holds."""
    hard = resource.getrlimit(kind)[1]
    holds = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (holds, hard))
    return holds


def has(kind: int) -> bool:
    """Whether the user has set a limit of this kind."""
    return resource.getrlimit(kind)[0] != resource.RLIM_INFINITY


def lacked_memory_for_a_thread() -> bool:
    """Whether the limit of memory ever left this process less than the stack of one more thread takes.

    Its highest size is asked for: by the time that an error is told the other threads may have ended.
    """
    if not has(resource.RLIMIT_AS):
        return False
    limit, stack = (resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_STACK))
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    highest = int(status.partition("VmPeak:")[2].split()[0]) * 1024
    return highest + (stack if has(resource.RLIMIT_STACK) else STACK) > limit


def ended(status: int) -> str:
    """`signal SIGKILL` for -9, `exit code 7` for 7."""
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"
