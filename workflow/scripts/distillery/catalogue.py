"""Datasets and problem sets that a configuration may name without writing them down: the entries of config/sources/*.yaml.

    completed({"experiments": {"e": {"problems": ["math-500", "mine"], ...}}, "problem_sets": {"mine": ...}})

An entry is what stands under `datasets` or `problem_sets` of any configuration, to be named or to be copied. What a configuration
writes down itself goes first.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distillery import config_file, schema
from distillery.provenance import SCRIPTS

FOLDER = SCRIPTS.parents[1] / "config" / "sources"
NAMED_BY = {"datasets": "dataset", "problem_sets": "problems"}


@functools.cache
def entries(folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """All entries by section and name.

    Raises:
        Problem: a file that cannot be read strictly.
    """
    found: dict[str, dict[str, Any]] = {section: {} for section in NAMED_BY}
    for path in sorted(folder.glob("*.yaml")):
        for section, named in config_file.read(path).items():
            found[section].update(named)
    return found


def completed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the entries that its experiments and teachers name and that it does not write down."""
    filled = dict(raw)
    for section, key in NAMED_BY.items():
        known = raw.get(section, {})
        named = [name for e in raw["experiments"].values() for name in _names(e[key], key)]
        if key == "problems":
            taught = (one["source"].get("teacher", {}) for one in filled["datasets"].values())
            named += [one[key] for one in taught if key in one]
        wanted = {
            name: entries()[section][name]
            for name in named
            if name not in known and name in entries()[section]
        }
        filled[section] = {**known, **wanted}
    return filled


def _names(value: Any, key: str) -> list[str]:
    return [one["name"] for one in schema.datasets(value)] if key == "dataset" else schema.listed(value)
