"""Puts contents and figures together: one HTML page with nothing outside it, and each part as a file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from distillery import digests, files, json_files, parquet_files
from distillery.problems import Problem, UsageProblem
from distillery.provenance import SCRIPTS
from distillery.report import benchmarks, contents, figures, graph_drawing, resource_curves

TEMPLATE = "page.html.j2"


# flags that name what is written, not what is read
WRITTEN = ("output", "parts_dir", "log")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Write the page that report_page.py's flags ask for, and its parts; returns the verdict.

    Raises:
        UsageProblem: --config-json is no JSON.
        Problem: as `collect`.
    """
    try:
        settings = json.loads(args.config_json)
    except json.JSONDecodeError as error:
        raise UsageProblem("not JSON", where="--config-json", found=error) from None
    inputs = {
        role: path for role, path in vars(args).items() if isinstance(path, Path) and role not in WRITTEN
    }
    report = collect(args.name, inputs, settings, dict(args.samples))
    with digests.recorded(args.output) as parts:
        parts += write_parts(report, args.parts_dir)
        files.write_text(args.output, render(report))
    return report["verdict"]


def collect(
    name: str,
    inputs: dict[str, Path],
    settings: dict[str, Any],
    samples: Mapping[str, Path] = MappingProxyType({}),
) -> dict[str, Any]:
    """Everything the page shows, from the files of one experiment.

    Args:
        name: the experiment.
        inputs: paths by role: comparison, summary, problems, {base,tuned}_{generations,scores},
            data_manifest, quality, done, rulegraph and, where there are any, conversion_proof, export_proof,
            mindspeed_answer, plan and sweep.
        settings: the experiment's resolved configuration.
        samples: files of resource samples by job; they need not be there.

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
        {side: digests.json_lines(inputs[f"{side}_{kind}"]) for side in ("base", "tuned")}
        for kind in ("generations", "scores")
    )
    firsts = [
        {
            side: json_files.by("id", (row for row in rows if row["sample"] == 0), inputs[f"{side}_{kind}"])
            for side, rows in sides.items()
        }
        for kind, sides in (("generations", generations), ("scores", scores))
    ]
    answered = contents.answers(problems, *firsts)
    metrics = digests.json_lines(inputs["done"].parent / done["metrics"])
    proofs = {role: inputs[role] for role in ("conversion_proof", "export_proof") if role in inputs}
    families = contents.families(comparison)
    used = resource_curves.collect(samples)
    sampled = {
        f"samples of {job}": place
        for job, path in samples.items()
        for job, place in resource_curves.files(job, path).items()
    }
    tokens = {side: [row["tokens"] for row in scores[side]] for side in ("base", "tuned")}
    return {
        "name": name,
        "comparison": comparison,
        "verdict": contents.verdict(comparison, read["summary"]),
        "families": families,
        "chances": benchmarks.chances(comparison),
        "groups": benchmarks.groups(comparison),
        "budgets": comparison["budgets"],
        "published": benchmarks.published(inputs["problems"].stem),
        "behaviour": benchmarks.behaviour(comparison),
        "examples": contents.examples(answered),
        "mindspeed_answer": _text(inputs.get("mindspeed_answer")),
        "flips": contents.flips(answered, comparison["paired"]),
        "data": contents.flat(read["data_manifest"]),
        "quality": contents.quality(read["quality"]),
        "roles": read["quality"]["roles"],
        "teacher": read["quality"].get("teacher"),
        "mix": done.get("mix", []),
        "training": contents.flat({key: value for key, value in done.items() if key != "mix"}),
        "proofs": {role: contents.flat(digests.read_json(path)) for role, path in proofs.items()},
        "plan": digests.read_json(inputs["plan"]) if "plan" in inputs else None,
        "sets": contents.sets(read["summary"], inputs["problems"].stem),
        "sweep": digests.read_json(inputs["sweep"]) if "sweep" in inputs else None,
        "resources": used,
        "settings": settings,
        "digests": [
            {
                "role": role.replace("_", " "),
                "file": path.name,
                "bytes": path.stat().st_size,
                "sha256": files.sha256(path),
            }
            for role, path in [*sorted(inputs.items()), *sampled.items()]
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


def render(report: dict[str, Any]) -> str:
    """The page. Every value is escaped; figures are our own SVG."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(SCRIPTS.parent / "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value: f"{value:.1%}"
    environment.filters["measure"] = lambda value, unit: (
        "–" if value is None else f"{value:.1%}" if unit == "share" else f"{value:,.0f}"
    )
    environment.filters["head"] = lambda rows: [
        row
        for kind in ("lost", "gained")
        for row in [one for one in rows if one["flip"] == kind][: contents.FLIPS_OF_A_KIND]
    ]
    environment.filters["amount"] = lambda value: "–" if value is None else f"{value:,.4g}"
    environment.filters["pretty"] = lambda value: json.dumps(
        value, indent=2, ensure_ascii=False, sort_keys=True
    )
    labels = {
        "loss": "training loss by step",
        "accuracy": "accuracy by problem family, base and tuned",
        "budgets": "accuracy by tokens that an answer may take, base and tuned",
        "lengths": "histogram of answer lengths",
        "rows": "histogram of the training rows' lengths",
        "rulegraph": "graph of the workflow's rules",
        "resources": "memory, processor and device use of the jobs over time",
    }
    drawn = {name: Markup(figures.inline(svg, name, labels[name])) for name, svg in report["figures"].items()}
    return environment.get_template(TEMPLATE).render(report | {"drawn": drawn, "colours": figures.COLOURS})


def write_parts(report: dict[str, Any], directory: Path) -> list[Path]:
    """Each figure as SVG and each table as JSON; returns the files."""
    parts = []
    for name, svg in report["figures"].items():
        parts.append(directory / f"{name}.svg")
        files.write_text(parts[-1], svg)
    for name in (
        "families",
        "chances",
        "groups",
        "budgets",
        "published",
        "behaviour",
        "examples",
        "flips",
        "digests",
        "plan",
        "quality",
        "resources",
        "sweep",
    ):
        parts.append(directory / f"{name}.json")
        files.write_json(parts[-1], report[name])
    return parts
