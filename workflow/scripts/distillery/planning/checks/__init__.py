"""The cross-checks of a plan: each a small function from a subject to its findings.

    for finding in run(config): print(finding)

They know the configuration, recorded facts of models and chips, and nothing of this machine; what only
the machine or the files can tell is in `host` and in the early rule that runs check_sources.py.
"""

from __future__ import annotations

from distillery.experiment import Config
from distillery.planning import finding
from distillery.planning.checks import data, generation, layout, model, resources, schedule
from distillery.planning.finding import Finding
from distillery.planning.subject import gather
from distillery.problems import Problem

ALL = (*layout.CHECKS, *schedule.CHECKS, *model.CHECKS, *data.CHECKS, *generation.CHECKS, *resources.CHECKS)


def run(config: Config) -> list[Finding]:
    """Everything that is found in the selected experiments, errors first; a line that two experiments share, once."""
    found: list[Finding] = []
    for name, experiment in config.experiments.items():
        try:
            subject = gather(config, name)
        except Problem as problem:
            key = f"models.{experiment.model}.{config.models[experiment.model].kind}.config"
            found.append(
                Finding("model-sizes", (key,), f"{problem.what} ({problem.where}: {problem.found})", str(problem.wanted),
                        "change the sizes so that they divide")
            )  # fmt: skip
            continue
        own = [one for check in ALL for one in check(subject)]
        found += finding.accept(own, experiment.accept)
    return finding.sort(dict.fromkeys(found))
