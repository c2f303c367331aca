"""The flags of plan_sources.py: the configuration leaves that fetched files are held against."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Any

from distillery.experiment import Config
from distillery.launch.commandline import words
from distillery.planning import known_models


def flags(config: Config, name: str) -> str:
    """One line, quoted for a shell; with the whole experiment where its model is not recorded, so that all checks run."""
    e = config.experiments[name]
    dataset, made, model = config.datasets[e.dataset], e.tokenize, config.models[e.model]
    asked, base = e.tuned_generation, e.base_generation
    settings = {
        "dataset": dataset.name,
        "prompt_type": made.prompt_type,
        "answer_prompt_type": asked.prompt_type if asked.prompt_type != made.prompt_type else None,
        "hf_chat_template": asked.settings.get("hf_chat_template"),
        "handler_name": dataset.handler_name,
        "map_keys": dataset.map_keys,
        "max_rejected_share": made.max_rejected_share,
        "seq_length": made.seq_length,
        "train_seq_length": e.train.seq_length,
        "prompt_room": asked.seq_length - asked.settings["max_new_tokens"],
        "base_prompt_room": base.seq_length - base.settings["max_new_tokens"] if base != asked else None,
        "origin": known_models.origin(model) or None,
        "config_json": alone(config, name) if known_models.of(model) is None else None,
    }
    accepted = ["--accept", *e.accept] if e.accept else []
    return shlex.join([*words(settings), *accepted])


def alone(config: Config, name: str) -> dict[str, Any]:
    """The configuration of one experiment and what it names, as it could stand in a file."""
    e = config.experiments[name]
    problems = config.problem_sets[e.problems]
    machine = {key: value for key, value in dataclasses.asdict(e.hardware).items() if value is not None}
    return {
        "models": {e.model: _source(config.models[e.model])},
        "datasets": {
            one: {
                "source": _source(config.datasets[one].source),
                "handler_name": config.datasets[one].handler_name,
                "map_keys": dict(config.datasets[one].map_keys),
            }
            for one in (e.dataset, problems.settings.get("dataset", e.dataset))
        },
        "problem_sets": {e.problems: _source(problems)},
        "hardware": {machine.pop("name"): machine},
        "experiments": {name: dict(e.settings)},
    }


def _source(source: Any) -> dict[str, Any]:
    return {source.kind: dict(source.settings)}
