"""Which files of a run follow from a server's answers, and so may be others in a second run of the same configuration.

A server batches as it likes, and with the batch the order of its sums changes: of two answers one may be another, and all that is
made of them. The built-in engine's answers, and all else, are the same bytes each time.
"""

from __future__ import annotations

from collections.abc import Callable

from distillery import artefacts, lineage, teachers
from distillery.experiment import Config, Experiment
from distillery.verify import standing


def of(config: Config) -> Callable[[str], bool]:
    """Whether a file, by its name below the run's directory, follows from what a server answered."""
    names, folders = set[str](), set[str]()
    for e in config.experiments.values():
        if _learnt(config, e.name):
            folders.add(artefacts.TRAINED.of(experiment=e.name).folder.removesuffix("/train"))
        for part in e.parts:
            teacher = teachers.of(config, part.dataset)
            if teacher and _drawn(config, teacher):
                folders |= {artefacts.tokenized(e.alone(part)).folder}
                folders |= {artefacts.SHARD.of(dataset=part.dataset).folder}
                folders |= {artefacts.PASS_RATES.of(dataset=part.dataset).folder}
                names |= set(standing.teacher_answers(teacher))
        if _begun(config, e):
            models = artefacts.model(e.model), artefacts.rotated_model(e)
            folders |= {one.rpartition("/")[0] for one in models}
            folders |= {artefacts.converted(e).folder, artefacts.weights(e).folder}
            names |= {artefacts.conversion_proof(e).path}
        names |= _answered(config, e)
    return lambda name: name in names or any(name.startswith(f"{folder}/") for folder in folders)


def _answered(config: Config, e: Experiment) -> set[str]:
    """Answers of servers, and of weights that follow from some, with what is made of them alone."""
    found: set[str] = set()
    for problems, asked in e.asked.items():
        made = standing.of_set(e, problems)
        base = asked.base.server or _begun(config, e)
        roles = ["base generations", "base scores"] if base else []
        roles += ["tuned generations", "tuned scores"] if asked.tuned.server else []
        found |= {made[role] for role in [*roles, *(["comparison", "summary"] if roles else [])]}
    # which has those of all sets
    return found | ({artefacts.SUMMARY.at(experiment=e.name)} if found else set())


def _learnt(config: Config, name: str) -> bool:
    """Whether an experiment's weights follow from a server's answers."""
    e = config.experiments[name]
    asked = (teachers.of(config, part.dataset) for part in e.parts)
    return any(one and _drawn(config, one) for one in asked) or _begun(config, e)


def _begun(config: Config, e: Experiment) -> bool:
    """Whether the model that an experiment starts from does: an earlier stage's, or one whose tokenizer is made of such rows."""
    if before := lineage.origin(e.model):
        return _learnt(config, before)
    made = config.models[e.model]
    teacher = teachers.of(config, made.settings["tokenizer"]["dataset"]) if made.kind == "random" else None
    return bool(teacher and _drawn(config, teacher))


def _drawn(config: Config, teacher: teachers.Teacher) -> bool:
    """Whether a teacher's answers are a server's, or those of weights that follow from some."""
    return bool(teacher.server) or _learnt(config, teacher.who)
