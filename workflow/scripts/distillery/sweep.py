"""Sweeps: one experiment for each combination of the values listed under `sweep`.

    sweep: {train.lr: [0.001, 0.003], train.seed: [1, 2]}

of an experiment `embedded` gives `embedded-lr0.001-seed1` and three more (`derived_names`). Whatever the values leave
alone is named alike in all of them, so those jobs are shared.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Mapping
from typing import Any

from distillery.derived_names import derived

MOST = (
    1000  # experiments of one sweep: planning takes about ten milliseconds each, and each is a run of hours
)


def expand(
    experiments: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, list[str]], list[str]]:
    """Raw experiments without `sweep`, the names that came of each listed one, and faults."""
    expanded: dict[str, Any] = {}
    members: dict[str, list[str]] = {}
    faults = []
    for name, experiment in experiments.items():
        swept = experiment.get("sweep", {})
        plain = {key: value for key, value in experiment.items() if key != "sweep"}
        members[name] = []
        total = math.prod(len(values) for values in swept.values())
        if total > MOST:
            faults.append(
                f"experiments.{name}.sweep: {total} experiments, wanted at most {MOST}; sweep fewer values"
            )
            continue
        for values in itertools.product(*swept.values()):
            member = derived(name, dict(zip(swept, values, strict=True)))
            one = copy.deepcopy(plain)
            for path, value in zip(swept, values, strict=True):
                if held := _set(one, path.split("."), value):
                    faults.append(
                        f"experiments.{name}.sweep.{path}: {held} is a value, with no keys below it"
                    )
            if member in experiments and member != name:
                faults.append(
                    f"experiments.{member}: bears the name of what experiments.{name}.sweep gives; rename it"
                )
            elif member in expanded:
                faults.append(f"experiments.{name}.sweep: gives {member!r} twice; list each value once")
            expanded[member] = one
            members[name].append(member)
    return expanded, members, list(dict.fromkeys(faults))


def _set(experiment: dict[str, Any], path: list[str], value: Any) -> str | None:
    """The part of the path that is no mapping, where one is in the way; else None, and the value is set."""
    for depth, key in enumerate(path[:-1], 1):
        experiment = experiment.setdefault(key, {})
        if not isinstance(experiment, dict):
            return ".".join(path[:depth])
    experiment[path[-1]] = value
    return None
