"""The doctor tries what a machine needs. Here is one line of its screen: green, red with the cure, or grey."""

from __future__ import annotations

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
