"""Estimate beside measurement, once a run has been: tokens, memory, time and disk, and how far off each was."""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from distillery import digests, files, json_files, resource_samples
from distillery.digests import MANIFEST
from distillery.late_files import there

MEGABYTE, MEBIBYTE = 1e6, 2**20
# less than this is a start of Python with its libraries, or a page of a disk: how far off an estimate of it was says nothing
TELLING = {"time": 5.0, "memory": 200.0, "disk": 1.0}
SMALLEST = 20  # MiB: less is the shell before Python has started, as Snakemake sees of a job of a second


@dataclass(frozen=True)
class Row:
    """One quantity in `unit`; None where nothing was estimated or nothing was measured."""

    quantity: str
    unit: str
    estimate: float | None
    measured: float | None

    @property
    def error(self) -> float | None:
        """(estimate - measured) / measured; None also where both are too small to tell (TELLING)."""
        if self.estimate is None or not self.measured:
            return None
        if max(self.estimate, self.measured) < TELLING.get(self.quantity.partition(" ")[0], 0.0):
            return None
        return self.estimate / self.measured - 1


def run(args: argparse.Namespace) -> dict[str, list[Any] | dict[str, Any]]:
    """Write what plan_outcome.py's flags ask for, from the files of the working directory, and return it."""
    found = of(args.plan_json, args.checks, args.done, args.data_manifest, Path())
    digests.write_json(args.output, found)
    return found


def of(
    plan: Mapping[str, Any], checks: Path, done: Path, manifest: Path, directory: Path
) -> dict[str, list[Any] | dict[str, Any]]:
    """A plan beside its outcome: `rows` of estimates and measurements, `findings`, `sample` and `assumptions`.

    Args:
        plan: what `estimate.summary` gave.
        checks: what plan_sources.py left.
        done: of the training.
        manifest: of the tokenized dataset.
        directory: where the experiment ran, with its results and logs.
    """
    early = digests.read_json(checks)
    # where training left its checkpoints: those of other settings lie beside it
    metrics = done.parent / digests.read_json(done)["metrics"]
    records = digests.json_lines(metrics)
    return {
        "rows": compare(plan["estimate"], records, digests.read_json(manifest), directory, metrics.parent),
        "findings": [*plan["findings"], *early["findings"]],
        "sample": early["sample"],
        "assumptions": plan["estimate"]["assumptions"],
    }


def compare(
    estimate: Mapping[str, Any],
    metrics: list[dict[str, Any]],
    data: Mapping[str, Any],
    directory: Path,
    trained: Path,
) -> list[dict[str, Any]]:
    """Rows as JSON values.

    Args:
        estimate: an `Estimate` as a dictionary.
        metrics: of the training, a record for each step; Megatron's have no tokens, and memory in records of its own.
        data: the manifest of the tokenized dataset.
        directory: where the experiment ran, with its results and logs.
        trained: the training's own work directory.
    """
    rows = _rows({step["name"]: step for step in estimate["steps"]}, metrics, data, directory, trained)
    return [{**asdict(row), "error": row.error} for row in rows]


def _rows(
    steps: Mapping[str, Mapping[str, Any]],
    metrics: list[dict[str, Any]],
    data: Mapping[str, Any],
    directory: Path,
    trained: Path,
) -> Iterator[Row]:
    train, timed = steps["train"], [record for record in metrics if "seconds" in record]
    yield Row("tokens of the dataset", "tokens", steps["tokenize"]["tokens"], data.get("tokens"))
    yield Row("tokens of train", "tokens", train["tokens"], _sum(timed, "tokens"))
    yield Row("time of train", "s", train["seconds"], _sum(timed, "seconds"))
    highest = max((record.get("memory_megabytes", 0) for record in metrics), default=0)
    yield Row("memory of train", "MB", _in(train["peak_bytes"], MEGABYTE), highest or None)
    asked = [name for name, step in steps.items() if name.startswith("generate ") and step["leaves"]]
    for name in asked:
        answers = answered(directory / steps[name]["leaves"])
        yield Row(f"tokens of {name}, at most", "tokens", steps[name]["tokens"], answers.get("tokens"))
        yield Row(f"time of {name}, at most", "s", steps[name]["seconds"], answers.get("seconds"))
    for name, step in steps.items():
        if step["timed"] and name != "train":
            seconds, megabytes = measured(directory, step["timed"])
            if name not in asked:
                yield Row(f"time of {name}", "s", step["seconds"], seconds)
            yield Row(f"memory of {name}", "MB", _in(step["host_bytes"], MEGABYTE), megabytes)
    for name, step in steps.items():
        if step["leaves"]:
            places = [trained] if step is train else _left(directory, step["leaves"])
            size = sum(map(_whole, places))
            yield Row(f"disk of {name}", "MB", _in(step["disk_bytes"], MEGABYTE), size / MEGABYTE)


def _left(directory: Path, pattern: str) -> list[Path]:
    """The files and folders that a step left; a Problem where a disk does not yet show the one that the pattern names."""
    found = sorted(directory.glob(pattern))
    return found if found or not there(directory / pattern) else [directory / pattern]


def _whole(place: Path) -> int:
    """Bytes of a file or directory; a Problem where it, or the directory's manifest, is not the one that was written."""
    measured = place / MANIFEST if there(place / MANIFEST) else place
    if there(measured):
        digests.check_file(measured)
    return files.bytes_of(place)


def _sum(records: list[dict[str, Any]], key: str) -> float | None:
    """Over all records, None where not each of them has it."""
    return sum(record[key] for record in records) if records and all(key in one for one in records) else None


def _in(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


def answered(path: Path) -> dict[str, Any]:
    """Tokens of an answer file, and its seconds where its timings lie beside it and tell of one uninterrupted run.

    Both are left out where there is no such file.
    """
    if not there(path):
        return {}
    tokens = sum(len(row.typed("tokens", list)) for row in digests.json_lines(path))
    found: dict[str, Any] = {"tokens": tokens}
    sidecar = path.with_name(f"{path.stem}.timings.json")
    timings = json_files.read(sidecar) if sidecar.is_file() else {"resumed": True}
    return found if timings["resumed"] else {**found, "seconds": timings["generate_seconds"]}


def measured(directory: Path, pattern: str) -> tuple[float | None, float | None]:
    """(seconds of all jobs together, 10^6 bytes of the one that took most); None for what was not measured.

    Benchmark files and the samples beside them are no outputs, and may be missing; what is damaged counts as missing.

    Snakemake looks at a job's memory every half minute: of a short one it often sees nothing, or too little. Samples
    are closer, and count where there are some.

    Args:
        pattern: of the jobs' benchmark files, below `directory`.
    """
    seconds, megabytes = [], 0.0
    for path in sorted(directory.glob(pattern)):
        for row in _lines(path):
            seconds += [taken] if (taken := _number(row.get("s"))) else []
            if (seen := _number(row.get("max_rss"))) > SMALLEST:
                megabytes = max(megabytes, seen * MEBIBYTE / 1e6)
        samples = resource_samples.read(resource_samples.beside(path))
        megabytes = max([megabytes, *(one["memory_megabytes"] for one in samples)])
    return (sum(seconds) if seconds else None), megabytes or None


def _lines(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            return list(csv.DictReader(lines, delimiter="\t"))
    except (UnicodeDecodeError, csv.Error):
        return []


def _number(text: str | None) -> float:
    """0 for Snakemake's `NA` and `-`, and for what is none."""
    try:
        number = float(text or 0)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0
