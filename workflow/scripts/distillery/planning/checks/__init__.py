"""The cross-checks of a plan: each a small function from an experiment's set-up (`s`) to its findings.

    for finding in run(config): print(finding)

They know the configuration, recorded facts of models and chips, and of this machine only whether sources that lie
here are there. What else the machine tells is asked in `machine_checks` when jobs are about to start, and what fetched
files tell in `fetched_checks`, by the early rule that runs plan_sources.py. All findings go through `finding.collect`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from distillery.experiment import Config, Experiment
from distillery.planning import finding
from distillery.planning.checks import (
    dataset_checks,
    generate_checks,
    idle_checks,
    layout_checks,
    machine_checks,
    memory_checks,
    mindspeed_checks,
    model_checks,
    train_checks,
)
from distillery.planning.experiment_setup import Setup, gather
from distillery.planning.finding import MEANINGS, Finding, error
from distillery.problems import Problem

ALL = (
    *layout_checks.CHECKS,
    *train_checks.CHECKS,
    *model_checks.CHECKS,
    *dataset_checks.CHECKS,
    *generate_checks.CHECKS,
    *memory_checks.CHECKS,
    *mindspeed_checks.CHECKS,
    *idle_checks.CHECKS,
)


def run(config: Config) -> list[Finding]:
    """Everything that is found in the selected experiments, errors first; a line that several share, once."""
    return finding.collect((one.name, one.accept, _of(config, one)) for one in config.experiments.values())


def of(setup: Setup) -> list[Finding]:
    """What all checks find in one experiment, nothing accepted yet."""
    of_others = (one for other in setup.others for check in dataset_checks.CHECKS for one in check(other))
    return [*(one for check in ALL for one in check(setup)), *of_others]


def _of(config: Config, experiment: Experiment) -> list[Finding]:
    try:
        found = of(gather(config, experiment.name))
    except Problem as problem:
        source = config.models[experiment.tokenize.model]
        key = f"models.{experiment.tokenize.model}.{source.kind}" + (
            ".config" if source.kind == "random" else ""
        )
        found = [
            error(
                "model-sizes",
                [key],
                f"{problem.what} ({problem.where}: {problem.found})",
                str(problem.wanted or "sizes that fit together"),
                problem.fix or "change the sizes so that they divide",
            )
        ]
    found += machine_checks.absent(config, experiment)
    return [*found, *acceptance(experiment, found)]


def acceptance(experiment: Experiment, found: list[Finding]) -> Iterator[Finding]:
    """`accept` names warnings: neither what no check is called, nor what is an error here."""
    key = f"experiments.{experiment.name}.accept"
    errors = {one.id for one in found if one.severity == "error"}
    for name in experiment.accept:
        if name not in MEANINGS:
            near = difflib.get_close_matches(name, MEANINGS, n=1)
            yield error(
                "accept",
                [key],
                f"{name!r}, which no check is called",
                f"{near[0]}, or another id" if near else "ids of warnings",
                "config/README.md lists all ids",
            )
        elif name in errors:
            yield error(
                "accept",
                [key],
                f"{name}, which is an error here",
                "ids of warnings",
                f"cure error[{name}]: errors cannot be accepted",
            )
