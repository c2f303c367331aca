"""Puts contents and figures together: all that an experiment's page shows, from the experiment's files."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from distillery import digests, files, json_files, kept_runs, parquet_files
from distillery.problems import Problem, UsageProblem
from distillery.report import (
    answer_texts,
    benchmarks,
    contents,
    figures,
    graph_drawing,
    model_card,
    overview,
    page_writing,
    resource_curves,
    upload,
)

# flags that name what is written or linked, not what is read
WRITTEN = ("output", "parts_dir", "card", "upload", "overview", "manifest", "log")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Write the page that report_page.py's flags ask for, and its parts, and keep the run; returns the verdict.

    Raises:
        UsageProblem: --config-json is no JSON, or flags that a card or a folder for a hub needs are not there.
        Problem: as `collect`.
    """
    try:
        settings = json_files.loads(args.config_json)
    except ValueError as error:
        raise UsageProblem("not JSON", where="--config-json", found=error) from None
    if (args.card or args.upload) and not (args.exported and args.original and args.origins_json):
        raise UsageProblem(
            "a model card, or a folder for a hub, of no export",
            where="--card, --upload",
            wanted="--exported, --original and --origins-json too",
        )
    inputs = {
        role: path for role, path in vars(args).items() if isinstance(path, Path) and role not in WRITTEN
    }
    linked = {
        "parts": args.parts_dir,
        **{role: getattr(args, role) for role in ("overview", "manifest", "card")},
        **inputs,
    }
    links = {
        role: os.path.relpath(path, args.output.parent) for role, path in linked.items() if path is not None
    }
    report = collect(args.name, inputs, settings, dict(args.samples), dict(args.mixed_quality))
    with digests.recorded(args.output) as parts:
        parts += page_writing.write_parts(report, args.parts_dir)
        files.write_text(args.output, page_writing.render(report, links))
        written = list(parts)
    if args.upload:
        upload.fill(args.upload, inputs["exported"])
    if args.card:
        model_card.write(args.card, args.name, settings, inputs, dict(args.datasets), args.origins_json)
    kept_runs.keep(args.output, written, inputs, settings, digests.read_json(inputs["done"])["key"])
    return report["verdict"]


def collect(
    name: str,
    inputs: dict[str, Path],
    settings: dict[str, Any],
    samples: Mapping[str, Path] = MappingProxyType({}),
    mixed_quality: Mapping[str, Path] = MappingProxyType({}),
) -> dict[str, Any]:
    """Everything the page shows, from the files of one experiment.

    Args:
        name: the experiment.
        inputs: paths by role: comparison, summary, problems, {base,tuned}_{generations,scores},
            data_manifest, quality, done, rulegraph and, where there are any, conversion_proof, export_proof,
            mindspeed_answer, plan and sweep.
        settings: the experiment's resolved configuration.
        samples: files of resource samples by job; they need not be there.
        mixed_quality: quality cards of a mix's datasets, by their names.

    Raises:
        Problem: an input is missing, or training left no metrics.
    """
    for role, path in inputs.items():
        if not path.is_file():
            raise Problem(
                "the report lacks an input", where=f"--{role.replace('_', '-')}", found=f"no file {path}"
            )
    read = {
        role: digests.read_json(inputs[role])
        for role in ("comparison", "summary", "data_manifest", "quality", "done")
    }
    comparison, done = read["comparison"], read["done"]
    digests.check_file(inputs["problems"])
    problems = [
        json_files.Record(row).at(f"{inputs['problems']}, row {number}")
        for number, row in enumerate(parquet_files.rows(inputs["problems"]))
    ]
    generations, scores = (
        {side: digests.json_lines(inputs[f"{side}_{kind}"], keep) for side in ("base", "tuned")}
        for kind, keep in (("generations", contents.without_tokens), ("scores", lambda record: record))
    )
    firsts = [
        {
            side: json_files.by("id", (row for row in rows if row["sample"] == 0), inputs[f"{side}_{kind}"])
            for side, rows in sides.items()
        }
        for kind, sides in (("generations", generations), ("scores", scores))
    ]
    answered = contents.answers(problems, *firsts)
    of_problems = [
        {side: _by_problem(rows) for side, rows in sides.items()} for sides in (generations, scores)
    ]
    metrics = digests.json_lines(inputs["done"].parent / done["metrics"])
    proofs = {role: inputs[role] for role in ("conversion_proof", "export_proof") if role in inputs}
    families = contents.families(comparison)
    used = resource_curves.collect(samples)
    sampled = {
        f"samples of {job}": place
        for job, path in samples.items()
        for job, place in resource_curves.files(job, path).items()
    }
    plan = digests.read_json(inputs["plan"]) if "plan" in inputs else None
    quality = contents.quality(read["quality"])
    cards = {f"quality of {dataset}": path for dataset, path in mixed_quality.items()}
    tokens = {side: [row["tokens"] for row in scores[side]] for side in ("base", "tuned")}
    return {
        "name": name,
        "comparison": comparison,
        "verdict": contents.verdict(comparison, read["summary"]),
        "facts": overview.facts(
            settings, comparison, inputs["problems"].stem, resource_curves.machine(samples), plan
        ),
        "cost": overview.cost(comparison, plan),
        "notices": overview.notices(comparison, plan, quality, metrics),
        "problems": answer_texts.index(problems, of_problems[1]),
        "texts": of_problems,
        "families": families,
        "chances": benchmarks.chances(comparison),
        "groups": benchmarks.groups(comparison),
        "budgets": comparison["budgets"],
        "published": benchmarks.published(inputs["problems"].stem),
        "unpublished": benchmarks.unpublished(inputs["problems"].stem),
        "behaviour": benchmarks.behaviour(comparison),
        "examples": contents.examples(answered),
        "mindspeed_answer": _text(inputs.get("mindspeed_answer")),
        "flips": contents.flips(answered, comparison["paired"]),
        "data": contents.flat(read["data_manifest"]),
        "quality": quality,
        "roles": read["quality"]["roles"],
        "selection": contents.selection(read["quality"]),
        "mixed_quality": contents.mixed_quality(
            {dataset: digests.read_json(path) for dataset, path in mixed_quality.items()}
        ),
        "teacher": read["quality"].get("teacher"),
        "mix": done.get("mix", []),
        "training": contents.flat({key: value for key, value in done.items() if key != "mix"}),
        "proofs": {role: contents.flat(digests.read_json(path)) for role, path in proofs.items()},
        "plan": plan,
        "sets": contents.sets(read["summary"], inputs["problems"].stem),
        "sweep": digests.read_json(inputs["sweep"]) if "sweep" in inputs else None,
        "resources": used,
        "settings": contents.flat(settings, longest=math.inf),
        "course": figures.course(metrics),
        "digests": [
            {
                "role": role.replace("_", " "),
                "file": path.name,
                "bytes": path.stat().st_size,
                "sha256": files.sha256(path),
            }
            for role, path in [*sorted(inputs.items()), *cards.items(), *sampled.items()]
        ],
        "figures": {
            "loss": figures.loss(metrics),
            "accuracy": figures.accuracy(families),
            "budgets": figures.budgets(comparison["budgets"], comparison["names"]),
            "lengths": figures.lengths(tokens["base"], tokens["tuned"]),
            "rows": figures.rows(read["quality"]["lengths"]),
            "rulegraph": graph_drawing.draw(digests.read_bytes(inputs["rulegraph"]).decode()),
            **({"resources": figures.resources(used["courses"])} if used["courses"] else {}),
        },
    }


def _text(path: Path | None) -> str | None:
    return digests.read_bytes(path).decode() if path else None


def _by_problem(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """All samples of each problem, in their order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["sample"]):
        found.setdefault(row["id"], []).append(row)
    return found
