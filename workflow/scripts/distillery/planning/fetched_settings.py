"""The settings of an experiment that fetched files are held against: those that decide what is found, and no others.

print(as_json(config, "embedded"))       # in a rule, whose job runs again when one of them changes
settings = parse(text)                   # in its command
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distillery import json_files
from distillery.experiment import Config, Experiment
from distillery.planning import experiment_setup, known_models
from distillery.problems import UsageProblem
from distillery.provenance import canonical


@dataclass(frozen=True)
class Settings:
    """What plan_sources.py asks of an experiment.

    Attributes:
        experiment, dataset: their names, for the keys of findings.
        prompt_type: of the training data; `answer_prompt_type` of the prompts.
        train_length: tokens of a row that training sees.
        tokenize_length: rows of so many tokens are left out; None keeps rows of any length.
        decontaminated: rows that have words in common with problems are left out before tokenize.
        max_rejected_share: of rows; above it tokenize fails.
        prompt_room: by problem set, tokens that each key's answers leave for the prompt.
        own_template: prompts are rendered by the tokenizer's chat template, not by `answer_prompt_type`.
        origin: the model's repository or GGUF file, under which its config.json may be recorded.
        config: the whole experiment as a configuration, where the model is not recorded and the cross-checks had to
            wait for its config.json.
        accept: ids of warnings that are wanted.
        rows: size of the sample.
    """

    experiment: str
    dataset: str
    prompt_type: str
    answer_prompt_type: str
    handler_name: str
    train_length: int
    map_keys: Mapping[str, Any] = field(default_factory=dict)
    thoughts: str = "drop"
    hold_out: Mapping[str, Any] | None = None
    decontaminated: bool = False
    tokenize_length: int | None = None
    max_rejected_share: float = 0.01
    prompt_room: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    own_template: bool = False
    origin: str = ""
    config: Mapping[str, Any] | None = None
    accept: Sequence[str] = ()
    rows: int = 256

    def key(self, path: str) -> str:
        """The path of an experiment's key in the whole configuration."""
        return f"experiments.{self.experiment}.{path}"


def of(config: Config, name: str) -> Settings:
    """The settings of one experiment, for its first dataset."""
    return _of(config, config.experiments[name])


def _of(config: Config, e: Experiment) -> Settings:
    name = e.name
    dataset, made = config.datasets[e.dataset], e.tokenize
    known = experiment_setup.known(config, e)
    return Settings(
        experiment=name,
        dataset=dataset.name,
        prompt_type=made.prompt_type,
        answer_prompt_type=e.tuned_generation.prompt_type,
        handler_name=dataset.handler_name,
        train_length=e.train.seq_length,
        map_keys=dataset.map_keys,
        thoughts=dataset.thoughts,
        hold_out=dataset.hold_out,
        decontaminated=bool(made.selection and made.selection.problems),
        tokenize_length=made.seq_length,
        max_rejected_share=made.max_rejected_share,
        prompt_room={problems: _room(e, problems) for problems in e.asked},
        own_template=e.tuned_generation.settings["hf_chat_template"],
        # a stage before it may have trained other rotary settings than are recorded
        origin=known_models.origin(config.models[made.model]) if made.model == e.model else "",
        config=_alone(config, e) if known is None else None,
        accept=e.accept,
    )


def _room(e: Experiment, problems: str) -> dict[str, int]:
    asked = e.asked[problems]
    own = "max_new_tokens" in e.settings["generate"]["sets"].get(problems, {})
    kinds = {f"generate.sets.{problems}" if own else "generate": asked.tuned}
    if asked.base != asked.tuned:
        kinds["generate.base"] = asked.base
    return {path: one.seq_length - one.settings["max_new_tokens"] for path, one in kinds.items()}


def as_json(config: Config, name: str) -> list[str]:
    """The settings of one experiment for `parse`, a line for each of its datasets."""
    e = config.experiments[name]
    return [canonical(dataclasses.asdict(_of(config, e.alone(part)))) for part in e.parts]


def of_each(texts: Sequence[str], shards: Sequence[Path]) -> list[tuple[Path, Settings]]:
    """Each shard with the settings that stand in its place.

    Raises:
        UsageProblem: as `parse`, or they are not as many.
    """
    if len(texts) != len(shards):
        raise UsageProblem(
            "shards without settings, or settings without a shard",
            where="--shard, --settings-json",
            found=f"{len(shards)} and {len(texts)}",
            wanted="one of each for every dataset",
        )
    return list(zip(shards, map(parse, texts), strict=True))


def parse(text: str) -> Settings:
    """Settings from one JSON object with the names of `Settings`.

    Raises:
        UsageProblem: no such object, an unknown name, or one that is missing.
    """
    try:
        return Settings(**json_files.loads(text))
    except (TypeError, ValueError) as error:
        names = ", ".join(one.name for one in dataclasses.fields(Settings))
        raise UsageProblem(
            "these are no settings of the checks",
            where="--settings-json",
            found=error,
            wanted=f"an object of {names}",
            fix="`snakemake -n -p` prints an experiment's own",
        ) from None


def _alone(config: Config, e: Experiment) -> dict[str, Any]:
    """The configuration of one experiment and what it names, as it could stand in a file."""
    dataset, problems = config.datasets[e.dataset], {one: config.problem_sets[one] for one in e.asked}
    machine = {key: value for key, value in dataclasses.asdict(e.hardware).items() if value is not None}
    return {
        "models": {e.tokenize.model: _source(config.models[e.tokenize.model])},
        "datasets": {
            e.dataset: {
                "source": _source(dataset.source),
                "handler_name": dataset.handler_name,
                "map_keys": dict(dataset.map_keys),
                "thoughts": dataset.thoughts,
                **({"hold_out": dataset.hold_out} if dataset.hold_out else {}),
            }
        },
        "problem_sets": {name: {**_source(one.source), **one.how} for name, one in problems.items()},
        "hardware": {machine.pop("name"): machine},
        "experiments": {e.name: {**e.written, "model": e.tokenize.model, "dataset": e.dataset}},
    }


def _source(source: Any) -> dict[str, Any]:
    return {source.kind: dict(source.settings)}
