"""One page over all experiments of a configuration: scores side by side, stages in their order, sweeps, and what was set otherwise."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from distillery import digests, files, schema
from distillery.lineage import stage
from distillery.problems import UsageProblem
from distillery.report import contents, figures, model_card, overview, page_writing

TEMPLATE = "overview.html.j2"

Rows = contents.Rows


def run(args: argparse.Namespace) -> str:
    """Write the page that report_overview.py's flags ask for, and its tables as JSON beside it; says what it holds.

    Raises:
        UsageProblem: the files are not of the experiments that --settings-json names.
        Problem: files are not those that were written.
    """
    of_files = {key: dict(getattr(args, key)) for key in ("summary", "plan", "report")}
    for key, named in of_files.items():
        if named.keys() != args.settings_json.keys():
            raise UsageProblem(
                "not of the same experiments",
                where=f"--{key}",
                found=", ".join(named),
                wanted=", ".join(args.settings_json),
            )
    read = {
        key: {name: digests.read_json(path) for name, path in of_files[key].items()}
        for key in ("summary", "plan")
    }
    sweeps = {name: digests.read_json(path) for name, path in args.sweep}
    settings = {name: args.settings_json[name] for name in of_files["summary"]}  # in their order
    found = collect(settings, read["summary"], read["plan"], sweeps)
    pages = {name: os.path.relpath(path, args.output.parent) for name, path in of_files["report"].items()}
    with digests.recorded(args.output) as parts:
        parts.append(args.output.with_suffix(".json"))
        files.write_json(parts[0], found)
        files.write_text(args.output, render(found, pages))
    return f"{args.output}: {len(found['experiments'])} experiments on {len(found['sets'])} problem sets"


def collect(
    settings: Mapping[str, dict[str, Any]],
    summaries: Mapping[str, dict[str, Any]],
    plans: Mapping[str, dict[str, Any]],
    sweeps: Mapping[str, dict[str, Any]],
) -> dict[str, Any]:
    """All that the page shows, as JSON.

    Args:
        settings: each experiment's resolved configuration, in the configuration's order.
        summaries: of evaluate_compare.py.
        plans: of plan_outcome.py.
        sweeps: tables of evaluate_sweep.py, by what they are of.
    """
    asked = {
        name: model_card.sets(one, schema.listed(settings[name]["problems"])[0])
        for name, one in summaries.items()
    }
    sets = dict.fromkeys(problems for one in asked.values() for problems in one)
    return {
        "experiments": [_row(name, one, plans[name]) for name, one in settings.items()],
        "sets": {
            problems: [_score(name, one[problems]) for name, one in asked.items() if problems in one]
            for problems in sets
        },
        "stages": [_stages(way, asked) for way in chains(settings)],
        "sweeps": dict(sweeps),
        "differences": differences(settings),
    }


def _row(name: str, settings: Mapping[str, Any], plan: Mapping[str, Any]) -> dict[str, Any]:
    measured = {row["quantity"]: row["measured"] for row in plan["rows"]}
    before = stage(settings)
    return {
        "experiment": name,
        "model": f"{before}, tuned" if before else settings["model"],
        "dataset": ", ".join(one["name"] for one in schema.datasets(settings["dataset"])),
        "tokens": measured.get("tokens of train"),
        "training": measured.get("time of train"),
        "memory": measured.get("memory of train"),
        "seconds": overview.seconds(plan),
    }


def _score(name: str, one: Mapping[str, Any]) -> dict[str, Any]:
    keys = (
        "base",
        "tuned",
        "problems",
        "samples",
        "difference",
        "difference_interval",
        "verdict",
        "sentence",
    )
    return {"experiment": name} | {key: one[key] for key in keys}


def chains(settings: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Experiments that start from one another's weights, first stage first: one list for each that none starts from."""
    before = {name: stage(one) for name, one in settings.items()}
    ways = []
    for name in settings:
        way = [name]
        while (earlier := before.get(way[0])) is not None:
            way.insert(0, earlier)
        if len(way) > 1 and name not in before.values():
            ways.append(way)
    return ways


def _stages(way: list[str], asked: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A chain, and the scores of its stages on each problem set that all of them were asked."""
    known = [asked[name] for name in way if name in asked]
    shared = [problems for problems in known[0] if all(problems in one for one in known)]
    return {
        "way": way,
        "sets": {
            problems: [_score(name, asked[name][problems]) for name in way if name in asked]
            for problems in shared
        },
    }


def differences(settings: Mapping[str, dict[str, Any]]) -> Rows:
    """The settings in which experiments differ: `key`, and the `values` of each, None where one has no such key."""
    flat = {name: dict(contents.flat(one)) for name, one in settings.items()}
    keys = dict.fromkeys(key for one in flat.values() for key in one)
    found = [{"key": key, "values": [one.get(key) for one in flat.values()]} for key in keys]
    return [row for row in found if any(value != row["values"][0] for value in row["values"])]


def render(found: dict[str, Any], pages: Mapping[str, str]) -> str:
    """The page. Every value is escaped; figures are our own SVG, and no script runs.

    Args:
        pages: where each experiment's report is, as the page's links reach it.
    """
    drawn = {
        problems: Markup(
            figures.inline(
                figures.accuracy(_bars(rows)),
                f"set{number}",
                f"accuracy of all experiments, problem set {number + 1}",
            )
        )
        for number, (problems, rows) in enumerate(found["sets"].items())
    }
    template = page_writing.environment().get_template(TEMPLATE)
    return template.render(found | {"pages": pages, "drawn": drawn, "colours": figures.COLOURS})


def _bars(rows: Rows) -> Rows:
    return [{"family": row["experiment"], "base": row["base"], "tuned": row["tuned"]} for row in rows]
