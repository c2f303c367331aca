"""Python in a child process: how it ended, how long it took, and the most memory it held."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from places import SCRIPTS

SPARE = 300 << 20  # bytes that a command may take whatever its input is
SECONDS = 10.0  # CPU time that it may take to refuse one


@dataclass(frozen=True)
class Measured:
    """Exit code (minus the signal), both streams, CPU seconds, and bytes at the peak, of the largest process."""

    code: int
    text: str
    cpu_seconds: float
    peak: int


def run(*argv: object) -> Measured:
    """`python ARGV`, with the library on its path; ended after two minutes."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, *map(str, argv)],
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        )
        until, ended, peak = time.monotonic() + 120, 0, 0
        while not ended:
            # not ru_maxrss, which begins with what this process had when it started the child
            peak = max(peak, _most(process.pid))
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if not ended and time.monotonic() > until:
                process.kill()
            time.sleep(0.01)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode(errors="replace")
    return Measured(process.returncode, text, usage.ru_utime + usage.ru_stime, peak)


def _most(process: int) -> int:
    """Bytes of memory that a process held at most until now; 0 of one that has ended."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    return 0


def refused(size: int, *argv: object) -> str:
    """What `python ARGV` said: a Problem, within SECONDS, four times the input's size and SPARE.

    Args:
        size: bytes of the input.
    """
    found = run(*argv)
    assert found.code in (1, 2), (found.code, found.text[-2000:])
    assert "Traceback" not in found.text and "error: " in found.text, found.text[-2000:]
    assert found.peak < 4 * size + SPARE, found.peak
    assert found.cpu_seconds < SECONDS, found.cpu_seconds
    return found.text


# a function of the library as a command: `python -c AS_COMMAND module function argument...`
AS_COMMAND = """
import importlib, sys
from pathlib import Path
from distillery.problems import Problem
try:
    getattr(importlib.import_module(sys.argv[1]), sys.argv[2])(*map(Path, sys.argv[3:]))
except Problem as problem:
    sys.exit(f"error: {problem}")
"""
