"""Names of the user's that are those of something else: of a derived model, or of a folder that experiments share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from distillery import artefacts
from distillery.artefacts import Artefact
from distillery.experiment import Config

# the first folders below logs/ that are no experiment's
SHARED = {
    one.job.partition("/")[0]
    for one in vars(artefacts).values()
    if isinstance(one, Artefact) and one.job and not one.job.startswith("{")
}


def faults(config: Config) -> Iterator[str]:
    """A line for each name that would make two things one."""
    for name in config.experiments:
        if name in SHARED:
            yield f"experiments.{name}: logs/{name} holds logs of what experiments share; rename it"
    for name in config.datasets:
        for made in (artefacts.ROW_COUNT, artefacts.HANDLER):
            other = made.at(dataset=name).rpartition("/")[2]
            if other in config.datasets:
                yield f"datasets.{other}: bears the name of a file that is made of {name}, where its shards would lie; rename it"
    made_from: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for name, experiment in config.experiments.items():
        origin = experiment.model, experiment.train.rope.settings
        if not origin[1]:
            continue
        made = artefacts.rotated(experiment)
        if made in config.models:
            yield (
                f"models.{made}: bears the name of what experiments.{name} makes of {experiment.model} "
                "with other rotary settings; rename it"
            )
        elif made_from.setdefault(made, origin) != origin:
            yield (
                f"models.{experiment.model}: with the rotary settings of experiments.{name} it is called {made}, "
                f"as {made_from[made][0]} is with others; rename one of the two"
            )
