"""A plan as one JSON object, and the same as text for a terminal."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from distillery import artefacts, config
from distillery.experiment import Config
from distillery.planning import checks, device_facts, estimate, plan_step, planned_jobs
from distillery.planning.checks import machine_checks
from distillery.planning.experiment_setup import Setup, gather
from distillery.planning.finding import Finding
from distillery.planning.plan_step import Step
from distillery.problems import Problem
from distillery.provenance import canonical
from distillery.tokenize import rendered_rows

COLUMNS = (
    "step",
    "engine",
    "to run",
    "devices",
    "GiB/device",
    "GiB host",
    "GB disk",
    "tokens",
    "FLOPs",
    "time",
)
SHARED = ("disk_bytes", "tokens", "flops", "seconds")  # of a step, evenly between its jobs
OF_EACH = ("engine", "devices", "device_memory", "host_bytes")


def run(args: argparse.Namespace) -> Iterator[str]:
    """What plan.py prints: the findings of its configuration, then the plan; with --json one object.

    Raises:
        Problem: errors among the findings, which are all there is then.
    """
    loaded = config.read(args.configfile)
    findings = checks.run(loaded)
    errors = sum(one.severity == "error" for one in findings)
    if not args.json:
        yield from map(str, findings)
    elif errors:
        yield json.dumps({"findings": [asdict(one) for one in findings]}, indent=2)
    if errors:
        raise Problem(
            f"the plan has {errors} errors", where=args.configfile, fix="cure those lines, then plan again"
        )
    plan = build(loaded, findings, args.snakefile, args.configfile, Path.cwd())
    yield json.dumps(plan, indent=2, ensure_ascii=False) if args.json else text(plan)


def build(
    config: Config, findings: Sequence[Finding], snakefile: Path, configfile: Path, directory: Path
) -> dict[str, Any]:
    """The whole plan: findings, an estimate for each experiment, jobs with their figures, and disk.

    Args:
        config, findings: of `configfile`.
        directory: where the jobs will run.

    Raises:
        Problem: Snakemake cannot plan this configuration.
    """
    rows = rendered_rows.of(config)
    every = planned_jobs.dry_run(snakefile, [configfile], everything=True)
    due = planned_jobs.dry_run(snakefile, [configfile], everything=False)
    keys = {job.key for job in due}
    own = {name: _needed(name, config, every) for name in config.experiments}
    shared = {key for name in own for key in own[name] if sum(key in others for others in own.values()) > 1}
    setups = {name: gather(config, name) for name in config.experiments}
    estimates = {name: estimate.of(setup) for name, setup in setups.items()}
    jobs: list[dict[str, Any]] = [
        {
            "rule": job.rule,
            "wildcards": job.wildcards,
            "experiments": [name for name in own if job.key in own[name]],
            "due": job.key in keys,
            "command": job.command,
        }
        for job in every
        if job.command
    ]
    for job in jobs:
        setup = next((setups[name] for name in job["experiments"]), None)
        job["msrun"] = setup and planned_jobs.msrun(job["command"], setup)
        job |= _figures(job, jobs, estimates)
    free = shutil.disk_usage(directory).free
    lacks = machine_checks.disk(list(setups.values()), free, directory)
    return {
        "findings": [*map(asdict, findings), *(asdict(replace(one, severity="warning")) for one in lacks)],
        "experiments": {
            name: _experiment(setups[name], estimates[name], jobs, directory) for name in config.experiments
        },
        "rows": rows,
        "jobs": jobs,
        "counts": {
            "jobs": len(jobs),
            "to_run": sum(job["due"] for job in jobs),
            "cached": sum(not job["due"] for job in jobs),
            "shared": len(shared),
            "per_experiment": {name: len(found) for name, found in own.items()},
        },
        "sweeps": {name: list(members) for name, members in config.sweeps.items()},
        "disk_free": free,
    }


def _needed(name: str, config: Config, every: Sequence[planned_jobs.Job]) -> set[tuple[str, str]]:
    """Keys of an experiment's jobs; its report shows its whole sweep, and the overview all, but the others are no part of it."""
    others = tuple(
        f"{artefacts.REPORT.of(experiment=other).folder}/" for other in config.experiments if other != name
    )
    mine = [job for job in every if not any(path.startswith(others) for path in job.outputs)]
    return planned_jobs.needed(mine, [artefacts.REPORT.at(experiment=name), artefacts.OVERVIEW.path])


def _figures(
    job: Mapping[str, Any], jobs: Sequence[Mapping[str, Any]], estimates: Mapping[str, estimate.Estimate]
) -> dict[str, Any]:
    """A job's step and its part of that step's numbers; None for what no step tells."""
    for name in job["experiments"]:
        for step in estimates[name].steps:
            if job["rule"] in step.rules:
                count = len(_jobs_of(step, name, jobs))
                plain = _plain(step)
                parts = {key: plain[key] and plain[key] / count for key in SHARED}
                return {"step": step.name, **{key: plain[key] for key in OF_EACH}, **parts}
    return {"step": None, **dict.fromkeys((*OF_EACH, *SHARED))}


def _jobs_of(step: Step, name: str, jobs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [job for job in jobs if job["rule"] in step.rules and name in job["experiments"]]


def _plain(step: Step) -> dict[str, Any]:
    """As JSON, with the sum of the device's memory."""
    found = asdict(step)
    if step.device_memory:
        found["device_memory"]["total"] = step.device_memory.total
    return found


def _experiment(
    setup: Setup, found: estimate.Estimate, jobs: Sequence[Mapping[str, Any]], directory: Path
) -> dict[str, Any]:
    steps = []
    for step in found.steps:
        mine = _jobs_of(step, found.experiment, jobs)
        steps.append({**_plain(step), "jobs": len(mine), "to_run": sum(job["due"] for job in mine)})
    return {
        "steps": steps,
        "disk": asdict(plan_step.disk(found.steps, directory)),
        "assumptions": found.assumptions,
        "problems": {
            name: canonical({problems.source.kind: problems.source.settings, **problems.how})
            for name, problems in setup.problems.items()
        },
        "device_budget_gib": device_facts.memory_gib(setup.experiment.hardware),
        "known_after_tokenize": ["rows left out as too long", "rows rejected", "tokens", "supervised tokens"],
    }


def text(plan: Mapping[str, Any]) -> str:
    """Tables of estimates, counts of jobs, and one command for each rule with its line of msrun."""
    said = []
    for name, one in plan["experiments"].items():
        said += ["", name, *_table([COLUMNS, *(_row(step) for step in one["steps"])])]
        memory = next(step["device_memory"] for step in one["steps"] if step["name"] == "train")
        if memory:
            parts = ", ".join(f"{key} {value / 2**30:.3g}" for key, value in memory.items() if key != "total")
            budget = one["device_budget_gib"]
            of = f" of {budget:.1f}" if budget else ""
            said.append(
                f"  training memory of the fullest device: {memory['total'] / 2**30:.3g}{of} GiB = {parts}"
            )
        said += [f"  problems {problems}: {words}" for problems, words in one["problems"].items()]
        known = {key: value for key, value in one["assumptions"].items() if value is not None}
        said.append("  assumptions: " + ", ".join(f"{key} {_short(value)}" for key, value in known.items()))
        said.append("  known after tokenize: " + ", ".join(one["known_after_tokenize"]))
        now, end, missing = (_short(one["disk"][key], 1e9) for key in ("now", "end", "missing"))
        free = _short(plan["disk_free"], 1e9)
        said.append(
            f"  disk: now {now} GB, at the end {end} GB (the peak), to be written {missing} GB; free {free} GB"
        )
    counts = plan["counts"]
    said += ["", *rendered_rows.lines(plan["rows"])] if plan["rows"] else []
    said += [
        "",
        *(f"{Finding(**one)}" for one in plan["findings"] if one["id"] == machine_checks.DISK),
        f"{counts['jobs']} jobs: {counts['to_run']} to run, {counts['cached']} cached;"
        f" {counts['shared']} shared by several experiments",
        "",
        f"one command of each rule, and what it starts on its devices ({planned_jobs.KEY}: known with data and weights):",
    ]
    first = {job["rule"]: job["command"] for job in reversed(plan["jobs"])}
    for job in plan["jobs"]:
        if first[job["rule"]] == job["command"]:
            said.append(f"  {job['command']}")
            if job["msrun"]:
                said.append(f"    {job['msrun']}")
    said += ["", plan_step.totals(plan["jobs"], plan["disk_free"])]
    return "\n".join(said[1:])


def _row(step: Mapping[str, Any]) -> tuple[str, ...]:
    memory = step["device_memory"]
    return (
        step["name"],
        step["engine"],
        f"{step['to_run']} of {step['jobs']}",
        str(step["devices"] or "-"),
        _short(memory["total"] / 2**30 if memory else None),
        _short(step["host_bytes"], 2**30),
        _short(step["disk_bytes"], 1e9),
        _short(step["tokens"]),
        _short(step["flops"]),
        plan_step.duration(step["seconds"]),
    )


def _short(value: Any, unit: float = 1) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value / unit:.3g}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
