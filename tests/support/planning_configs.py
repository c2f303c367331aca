"""Experiments to plan: shipped configurations, and changes of them by dotted keys."""

from __future__ import annotations

import copy
from typing import Any

import yaml
from places import ROOT

from distillery import config
from distillery.planning import checks
from distillery.planning.finding import Finding

CONFIGS = ROOT / "config"
SEVEN = yaml.safe_load((CONFIGS / "qwen2.5-math-7b.yaml").read_text())
TINY = yaml.safe_load((CONFIGS / "config.yaml").read_text())
DROP = object()


def changed(raw: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy with dotted keys set, or dropped; `e.` stands for its only experiment, `h.` for its hardware."""
    raw = copy.deepcopy(raw)
    (experiment,) = raw["experiments"].values()
    roots = {"e": experiment, "h": raw.get("hardware", {}).get("atlas-800t-a2"), "c": raw}
    for path, value in changes.items():
        root, *keys = path.split("/")
        node = roots[root]
        for key in keys[:-1]:
            node = node.setdefault(key, {})
        if value is DROP:
            del node[keys[-1]]
        else:
            node[keys[-1]] = copy.deepcopy(value)
    return raw


def findings(raw: dict[str, Any], changes: dict[str, Any] | None = None) -> list[Finding]:
    return checks.run(config.load(changed(raw, changes or {})))


def layout(tensor: int = 1, stages: int = 1, layers: list[int] | None = None) -> dict[str, Any]:
    sizes = {"tensor_parallel_size": tensor, "pipeline_parallel_size": stages}
    return sizes | ({"num_layer_list": layers} if layers else {})


MINDSPEED = {"e/generate/engine": "mindspeed-llm"}
OURS = {"e/train/engine": "mindspore"}
SOURCE = "c/datasets/openr1-math-220k/source/hub"


def check(id: str, severity: str, bad: dict[str, Any], good: dict[str, Any]) -> None:
    """A row of a table of checks: what brings a finding about, and what comes near without doing so."""
    found = findings(SEVEN, bad)
    assert (id, severity) in {(one.id, one.severity) for one in found}, [str(one) for one in found]
    assert id not in {one.id for one in findings(SEVEN, good)}
