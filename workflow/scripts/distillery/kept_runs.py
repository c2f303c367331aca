"""Answers, scores and reports of an experiment's runs, kept below it when the next run takes their places.

    kept_runs.keep(Path("report.html"), parts, {"tuned_scores": Path("tuned.scores.jsonl"), ...}, settings, key)   # runs/3f4b165a9c0d
    kept_runs.of(Path("results/experiments/embedded"))

A run is named by what decides it, never by a time. What is kept are the same files under second names (hard links), which cost
no room until the first are replaced; weights are not kept.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from distillery import digests, files
from distillery.problems import Problem
from distillery.provenance import digest

FOLDER = "runs"
SETTINGS = "settings.json"
REPORT = "report.html"
# what is kept, by the role that the report's command knows it by
NAMES = {
    "base_generations": "base.jsonl",
    "base_scores": "base.scores.jsonl",
    "tuned_generations": "tuned.jsonl",
    "tuned_scores": "tuned.scores.jsonl",
    "comparison": "comparison.json",
    "summary": "summary.json",
}


@dataclass(frozen=True)
class Run:
    """A run that was kept.

    Attributes:
        current: its answers, scores and report are those that lie at the experiment's top.
        settings: the experiment's resolved configuration.
    """

    name: str
    folder: Path
    current: bool
    settings: Mapping[str, Any]

    @property
    def scores(self) -> Path:
        """Those of the tuned model."""
        return self.folder / NAMES["tuned_scores"]


def keep(
    report: Path,
    parts: Sequence[Path],
    inputs: Mapping[str, Path],
    settings: Mapping[str, Any],
    training: str,
) -> Path:
    """Keep a run whose report was just written, in a folder beside that, and return the folder.

    Args:
        parts: of the report, below its folder: what the page links.
        inputs: files by role, as in `NAMES`.
        settings: the experiment's resolved configuration.
        training: its key, which stands for data, weights and code.
    """
    of_results = [files.sha256(inputs[role]) for role in ("tuned_generations", "tuned_scores")]
    target = report.parent / FOLDER / digest([settings, training, *of_results])[:12]
    with files.atomic_directory(target) as made:
        for role, name in NAMES.items():
            _second_name(inputs[role], made / name)
            digests.record(made / name)
        _second_name(report, made / REPORT)
        names = [made / part.relative_to(report.parent) for part in parts]
        for part, name in zip(parts, names, strict=True):
            name.parent.mkdir(parents=True, exist_ok=True)
            _second_name(part, name)
        digests.record(made / REPORT, *names)
        digests.write_json(made / SETTINGS, dict(settings))
    return target


def of(folder: Path) -> Iterator[Run]:
    """The kept runs of one problem set of an experiment, whose results lie in `folder`, by their names.

    Raises:
        Problem: settings that are not those that were written.
    """
    now = _results(folder)
    for path in sorted((folder / FOLDER).glob(f"[!.]*/{SETTINGS}")):
        settings = digests.read_json(path)
        yield Run(path.parent.name, path.parent, now is not None and _results(path.parent) == now, settings)


def checks(folder: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
    """(a file, what raises a Problem where it is not the one that was kept) of all kept runs below an experiment's folder."""
    for run in sorted((folder / FOLDER).glob("[!.]*")):
        for listing in sorted(run.glob(".*.sha256")):
            for path, wanted in digests.listed(listing).items():
                yield path, partial(_compare, path, wanted, run)


def _compare(path: Path, wanted: str, run: Path) -> None:
    found = files.sha256(path) if path.is_file() else "no such file"
    if found != wanted:
        raise Problem(
            "a file of a kept run is not the one that was kept",
            where=path,
            found=found,
            wanted=f"sha256 {wanted}",
            fix=f"remove {run}: the current run is kept again with its next report, an earlier one needs its settings again",
        )


def _results(folder: Path) -> list[str] | None:
    """Digests that tell a run from all others: two may answer the same, and their reports say what was set."""
    paths = [folder / name for name in (NAMES["tuned_generations"], NAMES["tuned_scores"], REPORT)]
    return [files.sha256(path) for path in paths] if all(path.is_file() for path in paths) else None


def _second_name(path: Path, name: Path) -> None:
    try:
        os.link(path, name)
    except OSError:  # a disk without hard links, or more of them than it holds
        shutil.copyfile(path, name)
