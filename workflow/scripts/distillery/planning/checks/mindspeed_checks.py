"""What the second engine would refuse, before it has loaded any weights."""

from __future__ import annotations

from collections.abc import Iterator

from distillery.launch.mindspeed import planned
from distillery.planning.experiment_setup import Setup
from distillery.planning.finding import Finding


def refusals(s: Setup) -> Iterator[Finding]:
    """MindSpeed-LLM takes every line that is derived for it."""
    for fault in planned.faults(s.experiment, s.dataset, s.architecture):
        yield Finding(*fault)


CHECKS = (refusals,)
