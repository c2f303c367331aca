"""Flags of the fetching commands, from the sources of a configuration."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from distillery.experiment import Config, Dataset, Source

LOCKED = ("hub", "url")


def locked(config: Config) -> dict[str, Source]:
    """Every source that needs a lock, by the lock's place below resources/locks."""
    parts: dict[str, Mapping[str, Any]] = {
        "models": config.models,
        "datasets": {name: dataset.source for name, dataset in config.datasets.items()},
        "problems": config.problem_sets,
    }
    return {
        f"{part}/{name}": source
        for part, sources in parts.items()
        for name, source in sources.items()
        if source.kind in LOCKED
    }


def lock(name: str, source: Source) -> str:
    """What lock.py is asked; `name` is the lock's place, such as datasets/openr1."""
    settings, part = source.settings, name.partition("/")[0]
    words = ["--repo-type", "model" if part == "models" else "dataset"]
    if source.kind == "url":
        words += ["--host", "url", "--repo", name.partition("/")[2]]
        words += [word for url in settings["urls"] for word in ("--url", url)]
    else:
        words += ["--host", settings["host"], "--repo", settings["repo"], "--revision", settings["revision"]]
    files = settings.get("files") or settings.get("file") or []
    files = [files] if isinstance(files, str) else files
    words += ["--files", *files] if files else []
    words += ["--known", settings["lock"]] if "lock" in settings else []
    if part == "datasets" and "rows" in settings:
        words += ["--rows", str(settings["rows"])]
    return shlex.join(words)


def hubs(source: Source, offline: bool) -> str:
    """Which addresses to ask, if any: what changes no result."""
    words = [word for one in source.settings.get("endpoints", []) for word in ("--endpoint", one)]
    return shlex.join(words + (["--offline"] if offline else []))


def known_lock(source: Source) -> list[str]:
    """The committed lock that a source names, as a list of files."""
    return [source.settings["lock"]] if "lock" in source.settings else []


def path_in_repository(dataset: Dataset, shard: str) -> str:
    """The file of a hub, mirror or folder that becomes this shard."""
    return next(path for path in dataset.files if path.endswith(f"{shard}.parquet"))


def counted(dataset: Dataset) -> list[str]:
    """The file that proves the number of rows, where the configuration says how many there must be."""
    knows = dataset.source.kind in (*LOCKED, "path") and "rows" in dataset.source.settings
    return [f"resources/datasets/{dataset.name}/rows.json"] if knows else []
