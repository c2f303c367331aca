"""math-verify, imported where a question first needs it: with sympy it takes most of a CPU second, in each worker.

Answers that are whole numbers, choices or words never need it: scoring a set of them takes a third of the CPU.
"""

from __future__ import annotations

from functools import cache

from distillery.evaluate import limited_workers, two_stage_parsing


@cache
def load() -> None:
    """Import it, on nobody's time."""
    limited_workers.untimed(_load)


def _load() -> None:
    import math_verify  # noqa: F401

    two_stage_parsing.install()
