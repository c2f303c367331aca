"""A plan as one JSON object, and the same as text for a terminal."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from distillery.experiment import Config
from distillery.planning import chips, dag, estimate
from distillery.planning.finding import Finding
from distillery.planning.subject import gather

COLUMNS = ("step", "engine", "devices", "GiB/device", "GiB host", "GB disk", "tokens", "FLOPs", "time")


def build(
    config: Config, findings: Sequence[Finding], every: Sequence[dag.Job], due: Sequence[dag.Job]
) -> dict[str, Any]:
    """The whole plan: findings, an estimate for each experiment, and jobs; free disk of this directory beside it."""
    keys = {job.key for job in due}
    targets = {name: [f"results/experiments/{name}/report.html"] for name in config.experiments}
    own = {name: dag.needed(every, files) for name, files in targets.items()}
    shared = {key for name in own for key in own[name] if sum(key in others for others in own.values()) > 1}
    jobs = [
        {"rule": job.rule, "wildcards": job.wildcards, "due": job.key in keys, "command": job.command}
        for job in every
        if job.command
    ]
    return {
        "findings": [asdict(finding) for finding in findings],
        "experiments": {name: _experiment(config, name) for name in config.experiments},
        "jobs": jobs,
        "counts": {
            "jobs": len(jobs),
            "to_run": sum(job["due"] for job in jobs),
            "cached": sum(not job["due"] for job in jobs),
            "shared": len(shared),
            "per_experiment": {name: len(found) for name, found in own.items()},
        },
        "sweeps": {name: list(members) for name, members in config.sweeps.items()},
        "disk_free": shutil.disk_usage(Path.cwd()).free,
    }


def _experiment(config: Config, name: str) -> dict[str, Any]:
    subject = gather(config, name)
    one = estimate.of(subject)
    steps = []
    for job in one.jobs:
        step = asdict(job)
        if job.device_memory:
            step["device_memory"]["total"] = job.device_memory.total
        steps.append(step)
    budget = chips.memory_gib(subject.experiment.hardware)
    return {
        "steps": steps,
        "disk_peak": one.disk_peak,
        "assumptions": one.assumptions,
        "device_budget_gib": budget,
        "known_after_tokenize": ["rows left out as too long", "rows rejected", "tokens", "supervised tokens"],
    }


def text(plan: Mapping[str, Any]) -> str:
    """Tables of estimates, counts of jobs, and one command for each rule."""
    lines = []
    for name, one in plan["experiments"].items():
        lines += ["", name, *_table([COLUMNS, *(_row(step) for step in one["steps"])])]
        memory = next((step["device_memory"] for step in one["steps"] if step["device_memory"]), None)
        if memory:
            parts = ", ".join(f"{key} {value / 2**30:.3g}" for key, value in memory.items() if key != "total")
            budget = one["device_budget_gib"]
            of = f" of {budget:.1f}" if budget else ""
            lines.append(
                f"  training memory of the fullest device: {memory['total'] / 2**30:.3g}{of} GiB = {parts}"
            )
        known = {key: value for key, value in one["assumptions"].items() if value is not None}
        lines.append("  reckoned with " + ", ".join(f"{key} {_short(value)}" for key, value in known.items()))
        lines.append("  known after tokenize: " + ", ".join(one["known_after_tokenize"]))
        if one["disk_peak"]:
            free = plan["disk_free"]
            lines.append(f"  disk at the end: {one['disk_peak'] / 1e9:.3g} GB, free here {free / 1e9:.3g} GB")
    counts = plan["counts"]
    lines += [
        "",
        f"{counts['jobs']} jobs: {counts['to_run']} to run, {counts['cached']} cached;"
        f" {counts['shared']} shared by several experiments",
        "",
        "one command of each rule:",
    ]
    first = {job["rule"]: job["command"] for job in reversed(plan["jobs"])}
    lines += [f"  {job['command']}" for job in plan["jobs"] if first[job["rule"]] == job["command"]]
    return "\n".join(lines[1:])


def _row(step: Mapping[str, Any]) -> tuple[str, ...]:
    memory = step["device_memory"]
    return (
        step["step"],
        step["engine"],
        str(step["devices"] or "-"),
        _short(memory["total"] / 2**30 if memory else None),
        _short(step["host_bytes"], 2**30),
        _short(step["disk_bytes"], 1e9),
        _short(step["tokens"]),
        _short(step["flops"]),
        duration(step["seconds"]),
    )


def _short(value: Any, unit: float = 1) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value / unit:.3g}"


def duration(seconds: float | None) -> str:
    """`7.9 h`, `12 min` or `34 s`."""
    if seconds is None:
        return "-"
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.2g} {name}"
    return f"{seconds:.2g} s"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
