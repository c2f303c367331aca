"""A generated problem with its worked solution: what every kind of the seeded generator makes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """One problem with its worked solution; `key` is what two problems about the same fact share, where there is one."""

    family: str
    problem: str
    trace: str
    answer: str
    key: tuple[int, int] | None = None
