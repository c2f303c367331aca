"""What an experiment stands on: every file and directory below resources/ and results/ that led to its report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from distillery import artefacts, lineage, set_artefacts, shard_files, stage_inputs, teachers
from distillery.experiment import Config, Experiment
from distillery.teachers import Teacher

Kind = Literal["model", "checkpoint", "training", "dataset", "file"]


@dataclass(frozen=True)
class Product:
    """An output of the workflow, as Snakemake knows it: a file, or the manifest of what lies around or beside it.

    Attributes:
        kind: a `model` is a Hugging Face directory around its manifest, fetched or exported; a `checkpoint` an MCore one;
            a `training` done.json with the checkpoint it names; a `dataset` Megatron's files beside their manifest.
        below: whether it is missed only by what is still to run: fetched files, and parts that were merged.
    """

    path: Path
    kind: Kind
    below: bool = False


def of(config: Config, name: str) -> list[Product]:
    """The products of an experiment, each once, in the order in which they are made."""
    return list(dict.fromkeys([*_shards(config, name), *_others(config, name)]))


def of_others(config: Config) -> list[Product]:
    """Those of all selected experiments but for the shards, of which there may be thousands: each is a file, no more."""
    return list(dict.fromkeys(one for name in config.experiments for one in _others(config, name)))


def results(config: Config) -> list[str]:
    """Every file below results/ that the selected experiments stand on, each once."""
    return list(dict.fromkeys(str(one.path) for one in of_others(config) if not one.below))


def _shards(config: Config, name: str) -> Iterator[Product]:
    e = config.experiments[name]
    shards = [path for part in e.parts for path in shard_files.all_shards(config, part.tokenize)]
    if config.models[e.tokenize.model].kind == "random":
        shards += shard_files.tokenizer_shards(config, e.tokenize.model)[0]
    for part in e.parts:
        shards += shard_files.pass_rates(config.datasets[part.dataset], part.tokenize)
        if teacher := teachers.of(config, part.dataset):
            shards += teacher_answers(teacher)
    yield from (Product(Path(path), "file", below=True) for path in shards)


def teacher_answers(teacher: Teacher) -> list[str]:
    """A teacher's answers, part by part."""
    names = [{"index": f"{part:05d}", "total": f"{teacher.parts:05d}"} for part in range(teacher.parts)]
    return [artefacts.TEACHER_ANSWERS.at(teacher=teacher.name, **one) for one in names]


def _others(config: Config, name: str) -> Iterator[Product]:
    e = config.experiments[name]
    own = {"experiment": name}
    # where another experiment exports it, it is among that one's products
    for model in (artefacts.MODEL.at(model=e.tokenize.model), artefacts.rotated_model(e)):
        if model != artefacts.model(e.model) or lineage.origin(e.model) is None:
            yield Product(Path(model), "model", below=True)
    for one in e.asked:
        yield Product(Path(artefacts.PROBLEMS.at(problems=one)), "file", below=True)
    yield _file(artefacts.CHECKS.at(**own))
    for part in map(e.alone, e.parts):
        for batch in shard_files.batches(config.datasets[part.dataset], part.tokenize):
            yield Product(Path(artefacts.tokenized_shards(part, batch).path), "dataset", below=True)
        yield Product(Path(artefacts.tokenized(part).path), "dataset")
        for made in (artefacts.LEFT_OUT, artefacts.SELECTION, artefacts.KEPT_QUESTIONS):
            yield from map(_file, shard_files.selection(part.tokenize, made))
        yield _file(artefacts.quality(part).path)
    for path in stage_inputs.training_data(e):
        yield Product(Path(path), "dataset")
    for weights in (artefacts.converted(e), artefacts.weights(e)):
        yield Product(Path(weights.path), "checkpoint")
    yield _file(artefacts.conversion_proof(e).path)
    yield Product(Path(artefacts.TRAINED.at(**own)), "training")
    if e.generate.layout != e.train.layout:
        yield Product(Path(artefacts.tuned_weights(e).path), "checkpoint")
    yield Product(Path(artefacts.EXPORTED.at(**own)), "model")
    for one in (artefacts.EXPORT_PROOF, artefacts.PLAN, artefacts.RULEGRAPH, artefacts.MODEL_CARD):
        yield _file(one.at(**own))
    yield Product(Path(artefacts.UPLOAD.at(**own)), "model")
    yield from map(_file, artefacts.mindspeed_answer(e))
    for problems in e.asked:
        yield from map(_file, of_set(e, problems).values())
    yield from map(_file, overview(config))


def overview(config: Config) -> list[str]:
    """The page over all experiments, where there are several."""
    return [artefacts.OVERVIEW.path] if len(config.experiments) > 1 else []


def of_set(experiment: Experiment, problems: str) -> dict[str, str]:
    """Answers, scores and what was made of them, of one problem set, by the roles that its report lists."""
    one = (
        artefacts.TUNED_ANSWERS,
        artefacts.TUNED_SCORES,
        artefacts.COMPARISON,
        artefacts.SUMMARY,
        artefacts.REPORT,
    )
    tuned, scores, comparison, summary, page = (
        set_artefacts.of_set(each, experiment, problems).path for each in one
    )
    return {
        "base generations": artefacts.base_answers(experiment, problems).path,
        "base scores": artefacts.base_scores(experiment, problems).path,
        "tuned generations": tuned,
        "tuned scores": scores,
        "comparison": comparison,
        "summary": summary,
        "report": page,
    }


def _file(path: str) -> Product:
    return Product(Path(path), "file")
