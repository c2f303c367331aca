"""Where an experiment's model and rows come from, in words for those who get the model, and under which licence as far as it is stated.

    of(config, "sft-2")     # {"model": {...}, "datasets": {"math": {...}, ...}}: of the stages before it too

Nothing of this machine is in them: no folder of it, no time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distillery import lineage
from distillery.dataset import Dataset, Source
from distillery.experiment import Config

# whose weights and texts they are where no source publishes them; a `license` of the configuration goes over them
MADE = {
    "random": "made by this workflow: nobody else's weights",
    "generator": "made by this workflow: nobody else's text",
    "teacher": "that of the model that answered",
}


def of(config: Config, name: str) -> dict[str, Any]:
    """The model that was there first, and every dataset that any stage up to this experiment learned from."""
    stages = [name]
    while (before := lineage.origin(config.experiments[stages[-1]].model)) is not None:
        stages.append(before)
    model = config.experiments[stages[-1]].model
    learned: dict[str, Any] = {}
    for stage in reversed(stages):
        for part in config.experiments[stage].parts:
            learned.setdefault(part.dataset, _dataset(config.datasets[part.dataset]))
    return {
        "model": {
            "name": model,
            **_place(config.models[model]),
            "license": MADE.get(config.models[model].kind, ""),
        },
        "stages": stages[:0:-1],
        "datasets": learned,
    }


def _dataset(one: Dataset) -> dict[str, str]:
    return {
        **_place(one.source),
        "license": one.license or MADE.get(one.source.kind, ""),
        "stated": f"datasets.{one.name}.license" if one.license else "",
    }


def _place(source: Source) -> dict[str, str]:
    """`source` in words, and `hub_id`: its name on Hugging Face's hub, "" for all that does not lie there."""
    on_hub = source.kind == "hub" and source.settings["host"] == "huggingface"
    return {"source": _words(source), "hub_id": source.settings["repo"] if on_hub else ""}


def _words(source: Source) -> str:
    said: Mapping[str, Any] = source.settings
    match source.kind:
        case "generator":
            return f"generated, seed {said['seed']}"
        case "random":
            return f"random weights, seed {said['seed']}"
        case "teacher":
            return f"answers of {said.get('experiment') or said.get('server')} to {said['problems']}"
        case "hub":
            return f"{said['host']}: {said['repo']}, revision {said['revision']}"
        case "url":
            return said["urls"][0]
        case "wheel":
            return f"package {said['package']}"
        case _:
            return f"local files: {Path(said['path']).name}"
