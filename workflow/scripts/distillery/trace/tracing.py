"""From an answer to the rows that taught it, and from a row to every experiment that learned from it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery import artefacts, config, digests, files, json_files, lineage, set_artefacts
from distillery.experiment import Config, Experiment
from distillery.problems import Problem, UsageProblem
from distillery.trace import trace_lines, trained_rows


def run(args: argparse.Namespace) -> str:
    """What trace_generation.py's flags ask for, as JSON or as lines; writes --rows.

    Raises:
        UsageProblem: neither an answer nor a row is named, or an experiment that is not there.
        Problem: no such answer or row; files that are missing, or not those that were written.
    """
    settings = config.read(args.configfile)
    if args.experiment:
        config.experiment(settings, args.experiment, "--experiment")
    if bool(args.generation) == bool(args.row):
        raise UsageProblem(
            "nothing to trace, or two things",
            where="GENERATION_ID, --row",
            found=args.row,
            wanted="the id of an answer, or the uuid of a row",
        )
    if args.rows and not args.generation:
        raise UsageProblem(
            "rows are those behind an answer", where="--rows", found=args.row, wanted="GENERATION_ID"
        )
    chosen = [one for name, one in settings.experiments.items() if args.experiment in (None, name)]
    if args.row:
        found = forward(settings, args.row, chosen)
        return _json(found) if args.json else "\n".join(trace_lines.forward(found))
    answer = find(chosen, *_parted(args.generation))
    traced = backward(settings, answer)
    if args.rows:
        seen = trained_rows.of(answer.experiment)
        lines = (json.dumps(one) + "\n" for one in seen.rows(0, len(seen.samples)))
        with files.atomic(args.rows) as partial, partial.open("w", encoding="utf-8") as stream:
            stream.writelines(lines)
    return _json(traced) if args.json else "\n".join(trace_lines.backward(traced))


@dataclass(frozen=True)
class Answer:
    """A tuned model's answer: its record, its score where it has one, and where it stands."""

    experiment: Experiment
    problems: str
    place: Path
    line: int
    record: json_files.Record
    score: json_files.Record | None


def _parted(generation: str) -> tuple[str, int]:
    """(id, sample) of ID or ID:SAMPLE; the first sample where none is named."""
    name, colon, sample = generation.rpartition(":")
    return (name, int(sample)) if colon and sample.isdigit() else (generation, 0)


def find(experiments: list[Experiment], name: str, sample: int) -> Answer:
    """The answer of this id and sample, of the first experiment that has it.

    Raises:
        Problem: none has.
    """
    looked = []
    for one in experiments:
        for problems in one.asked:
            place = Path(set_artefacts.of_set(artefacts.TUNED_ANSWERS, one, problems).path)
            looked.append(str(place))
            for line, record in _records(place, name):
                if record["id"] == name and record["sample"] == sample:
                    scores = Path(set_artefacts.of_set(artefacts.TUNED_SCORES, one, problems).path)
                    score = next(
                        (
                            row
                            for _, row in _records(scores, name)
                            if row["id"] == name and row["sample"] == sample
                        ),
                        None,
                    )
                    return Answer(one, problems, place, line, record, score)
    raise Problem(
        "no such answer",
        found=f"no {name}, sample {sample}, in {', '.join(looked)}",
        fix="take an id of such a file, or run the experiment first",
    )


def _records(place: Path, name: str) -> Iterator[tuple[int, json_files.Record]]:
    """(line, record) of each that may bear this id; the others are not even parsed. All bytes are compared."""
    if not place.is_file():
        return
    wanted = json.dumps(name).encode(), json.dumps(name, ensure_ascii=False).encode()
    lines = [
        (number, line)
        for number, line in enumerate(digests.lines(place), 1)
        if any(one in line for one in wanted)
    ]
    for number, line in lines:
        yield number, json_files.parse(line, f"{place}, line {number}")


def backward(settings: Config, answer: Answer) -> dict[str, Any]:
    """All that an answer came from: prompt and seed, weights, training, rows; and the stages before."""
    record = answer.record
    return {
        "answer": {
            "experiment": answer.experiment.name,
            "problems": answer.problems,
            "file": str(answer.place),
            "line": answer.line,
            **{key: record.get(key) for key in ("id", "sample", "prompt", "text", "seed", "stop")},
            "tokens": len(record["tokens"]),
            "right": answer.score["strict"] if answer.score else None,
        },
        "trainings": [_training(one) for one in _stages(settings, answer.experiment)],
    }


def _stages(settings: Config, experiment: Experiment) -> list[Experiment]:
    """The experiment, the one that it starts from, and so on."""
    found = [experiment]
    while (before := lineage.origin(found[-1].model)) is not None:
        found.append(settings.experiments[before])
    return found


def _training(experiment: Experiment) -> dict[str, Any]:
    seen = trained_rows.of(experiment)
    folder = Path(artefacts.TRAINED.at(experiment=experiment.name)).parent
    start, model = Path(artefacts.weights(experiment).path), Path(artefacts.rotated_model(experiment))
    return {
        "experiment": experiment.name,
        "weights": str(folder / seen.done["checkpoint"]),
        "weights_digest": seen.done["payload_digest"],
        "key": seen.done["key"],
        "step": seen.done["iteration"],
        "samples": len(seen.samples),
        "settings": seen.key["settings"],
        "started_from": {"checkpoint": str(start), "weights": seen.key["weights"], "model": str(model)},
        "data": seen.key["data"],
        "shards": [{"dataset": one.name, **shard} for one in seen.datasets for shard in one.shards],
        "rows": seen.rows(0, trace_lines.SHOWN),
    }


def forward(settings: Config, uuid: str, experiments: list[Experiment]) -> dict[str, Any]:
    """Every experiment that learned from a row: by itself, or through the weights or the answers of one that did.

    Raises:
        Problem: no experiment that was trained has the row.
    """
    uses: dict[str, list[dict[str, Any]]] = {}
    untold: dict[str, str] = {}
    for one in experiments:
        try:
            uses[one.name] = trained_rows.of(one).uses(uuid)
        except Problem as problem:
            untold[one.name] = f"{problem.what} ({problem.where})"
    if not any(uses.values()):
        told = "".join(f"; {name}: {why}" for name, why in untold.items())
        raise Problem(
            "no experiment has the row",
            found=f"no {uuid} in the rows of {', '.join(uses) or 'any'}{told}",
            fix="see rejected and dropped rows in the dataset's manifest",
        )
    learned = {name for name, rows in uses.items() if any(row["steps"] for row in rows)}
    return {
        "uuid": uuid,
        "rows": {name: rows for name, rows in uses.items() if rows},
        "through": _heirs(settings, learned),
        "untold": untold,
    }


def _heirs(settings: Config, learned: set[str]) -> dict[str, str]:
    """Experiments that start from, or learn from the answers of, those that learned, and so on: {name: how}."""
    found: dict[str, str] = {}
    while True:
        more = {
            name: f"{how} {source}"
            for name, one in settings.experiments.items()
            if name not in found
            for source, how in _sources(settings, one).items()
            if source in learned | found.keys()
        }
        if not more:
            return found
        found |= more


def _sources(settings: Config, experiment: Experiment) -> dict[str, str]:
    before = lineage.origin(experiment.model)
    taught = [settings.datasets[part.dataset].source for part in experiment.parts]
    found = {
        one.settings["experiment"]: "learns from the answers of"
        for one in taught
        if one.kind == "teacher" and "experiment" in one.settings
    }
    return found if before is None else found | {before: "starts from the weights of"}


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
