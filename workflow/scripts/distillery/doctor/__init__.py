"""The doctor tries what a machine needs. Here is one line of its screen: green, red with the cure, or grey."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Result:
    """What was looked at, what was found, and for a failure what cures it."""

    name: str
    state: Literal["ok", "fail", "absent"]
    found: str
    fix: str = ""


def good(name: str, found: str) -> Result:
    """As it should be."""
    return Result(name, "ok", found)


def fail(name: str, found: str, fix: str) -> Result:
    """Not as it should be; `fix` cures it."""
    return Result(name, "fail", found, fix)


def nothing(name: str, found: str) -> Result:
    """Not there, and not needed by this configuration."""
    return Result(name, "absent", found)


def text_of(line: Sequence[str], seconds: float = 30) -> str:
    """What a program prints on standard output; nothing where it is not there or does not answer in time."""
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
