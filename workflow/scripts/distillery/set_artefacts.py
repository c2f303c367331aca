"""Where an experiment's own files of each of its problem sets lie: those of the first at its top, of others below `sets/`."""

from __future__ import annotations

from distillery import artefacts
from distillery.artefacts import Artefact
from distillery.experiment import Config, Experiment


def in_set(one: Artefact) -> Artefact:
    """The same of a further problem set of an experiment: the first one's lie at the experiment's top."""
    top, rest = one.path.split("{experiment}/", 1)
    return Artefact(
        f"{top}{{experiment}}/sets/{{problems}}/{rest}", one.job.replace("}/", "}/sets/{problems}/", 1)
    )


def of_set(one: Artefact, experiment: Experiment, problems: str) -> Artefact:
    """An experiment's own artefact of one of its problem sets."""
    place = one if problems == experiment.problems else in_set(one)
    return place.of(experiment=experiment.name, problems=problems)


def of_further_sets(one: Artefact, experiment: Experiment) -> dict[str, str]:
    """Paths of an artefact of each problem set but the first, by the set's name."""
    return {name: of_set(one, experiment, name).path for name in list(experiment.asked)[1:]}


def sweep_scores(config: Config, experiment: Experiment, problems: str) -> dict[str, str]:
    """Paths of the tuned models' scores of an experiment and of all others of its sweep that were asked this problem set.

    By the experiment's name; none where there is no other.
    """
    siblings = [config.experiments[name] for name in config.siblings(experiment.name)]
    found = {
        one.name: of_set(artefacts.TUNED_SCORES, one, problems).path
        for one in siblings
        if problems in one.asked
    }
    return found if len(found) > 1 else {}


def sweeps(config: Config) -> dict[str, str]:
    """The table of each sweep and problem set, beside its first experiment, by the names of both."""
    found = {}
    for sweep in config.sweeps:
        members = [config.experiments[name] for name in config.sweeps[sweep] if name in config.experiments]
        for problems in dict.fromkeys(problems for one in members for problems in one.asked):
            first = next(one for one in members if problems in one.asked)
            if sweep_scores(config, first, problems):
                found[f"{sweep} on {problems}"] = of_set(artefacts.SWEEP, first, problems).path
    return found


def samples(experiment: Experiment, problems: str) -> dict[str, str]:
    """Resource samples of an experiment's jobs on devices, by job, answers those to one problem set."""
    return {
        "train": artefacts.TRAINED.of(experiment=experiment.name).samples,
        "generate base": artefacts.base_answers(experiment, problems).samples,
        "generate tuned": of_set(artefacts.TUNED_ANSWERS, experiment, problems).samples,
    }
