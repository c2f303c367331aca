"""What jobs used of their machine, from the samples taken beside them: a table, and courses over time to be drawn.

Samples are measurements: they differ from run to run, and are an input of the page like the plan's outcome. A job
without any (it ran elsewhere, or its log was removed) is named, and fails nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distillery import resource_samples

# of a sample's chips: the fullest, all of them together, the mean
MEASURES = {
    "memory of all processes": ("MB", lambda one: one["memory_megabytes"]),
    "CPU, 100 for each busy core": ("%", lambda one: one["cpu_percent"]),
    "HBM of the fullest chip": ("MB", lambda one: max(_chips(one, "hbm_used"), default=None)),
    "AI core, mean of chips": ("%", lambda one: _mean(_chips(one, "aicore"))),
    "power of all chips": ("W", lambda one: sum(_chips(one, "power")) or None),
    "temperature of the hottest chip": ("°C", lambda one: max(_chips(one, "temperature"), default=None)),
}


def collect(jobs: Mapping[str, Path]) -> dict[str, Any]:
    """`rows` of the table (job, measure, unit, mean, peak), `courses` of each job, and the jobs that are `missing`.

    Args:
        jobs: the sample file of each job's first node; those of other nodes lie beside it.
    """
    rows, courses, missing = [], [], []
    for job, path in jobs.items():
        found = {
            name: samples
            for name, place in files(job, path).items()
            if (samples := resource_samples.read(place))
        }
        if not found:
            missing.append(job)
        for name, samples in found.items():
            course = {
                "job": name,
                "seconds": [one["seconds"] for one in samples],
                "measures": {
                    measure: [value(one) for one in samples] for measure, (_, value) in MEASURES.items()
                },
            }
            course["measures"] = {
                measure: values
                for measure, values in course["measures"].items()
                if any(value is not None for value in values)
            }
            courses.append(course)
            rows += [
                {
                    "job": name,
                    "measure": measure,
                    "unit": MEASURES[measure][0],
                    "mean": over_time(course["seconds"], values),
                    "peak": max(value for value in values if value is not None),
                }
                for measure, values in course["measures"].items()
            ]
    return {"rows": rows, "courses": courses, "missing": missing}


def machine(jobs: Mapping[str, Path]) -> dict[str, Any] | None:
    """What the first job with samples computed on, as its first sample says; None where none does."""
    firsts = (samples[0] for path in jobs.values() if (samples := resource_samples.read(path)))
    return next((one["machine"] for one in firsts if "machine" in one), None)


def files(job: str, path: Path) -> dict[str, Path]:
    """The sample files of a job that are there, by a name for each node."""
    others = {int(one.suffixes[-2][5:]): one for one in path.parent.glob(f"{path.stem}.node*{path.suffix}")}
    nodes = {0: path, **dict(sorted(others.items()))}
    return {
        f"{job}, node {number}" if others else job: place
        for number, place in nodes.items()
        if place.is_file()
    }


def over_time(seconds: list[float], values: list[float | None]) -> float:
    """The mean of values, each weighted by the time since the sample before it; of equal ones without any time."""
    starts = [seconds[0], *seconds[:-1]]
    known = [
        (value, end - start)
        for value, start, end in zip(values, starts, seconds, strict=True)
        if value is not None
    ]
    total = sum(time for _, time in known)
    if not total:
        return sum(value for value, _ in known) / len(known)
    return sum(value * time for value, time in known) / total


def _chips(sample: dict[str, Any], key: str) -> list[float]:
    return [chip[key] for chip in sample["chips"] if chip[key] is not None]


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
