"""An experiment's runs beside each other: what was set otherwise in earlier ones, and how they answered the same problems.

Each earlier run's tuned model is compared with the current one's, as `sweep_comparison` compares the experiments of a sweep.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from distillery import artefacts, config, files, kept_runs, set_artefacts
from distillery.evaluate import comparison, scoring, sweep_comparison
from distillery.kept_runs import Run
from distillery.problems import Problem

CURRENT = "current"


def run(args: argparse.Namespace) -> str:
    """The runs of the experiment that evaluate_runs.py's flags ask for, as text; with --output as JSON too.

    Raises:
        UsageProblem: the configuration has no such experiment.
        Problem: nothing of it was kept; as `scoring.read_jsonl`.
    """
    loaded = config.read(args.configfile)
    experiment = config.experiment(loaded, args.experiment, f"--experiment; {args.configfile}")
    tables, said = {}, []
    for problems in experiment.asked:
        folder = Path(set_artefacts.of_set(artefacts.SUMMARY, experiment, problems).path).parent
        tables[problems] = table(folder, args.seed)
        said += [problems, *map(_line, tables[problems]["rows"])]
    if args.output:
        files.write_json(args.output, tables)
    return "\n".join(said)


def table(folder: Path, seed: int) -> dict[str, Any]:
    """As `sweep_comparison.compare` of the runs whose results lie in and below `folder`.

    Its rows have `folder` too, and `differs`, {key: [there, now]} of settings that are others now; None where nothing says what
    is set now.

    Raises:
        Problem: no run was kept.
    """
    kept = list(kept_runs.of(folder))
    if not kept:
        raise Problem(
            "no run of the experiment was kept",
            where=folder / kept_runs.FOLDER,
            found="nothing",
            fix="finish a run: its report keeps it",
        )
    now = next((one for one in kept if one.current), None)
    scores = {one.name: list(scoring.read_jsonl(one.scores, comparison.READ)) for one in kept}
    reference = now.name if now else CURRENT
    if now is None:  # scores that no report was made of yet
        scores[CURRENT] = list(scoring.read_jsonl(folder / kept_runs.NAMES["tuned_scores"], comparison.READ))
    found = sweep_comparison.compare(scores, reference, seed)
    by_name = {one.name: one for one in kept}
    for row in found["rows"]:
        one = by_name.get(row.pop("experiment"))
        row |= {
            "run": one.name if one else CURRENT,
            "current": row["sentence"] == "this experiment",
            "folder": str(one.folder if one else folder),
            "differs": differences(one, now) if one and now else None,
        }
    return found


def differences(there: Run, now: Run) -> dict[str, list[Any]]:
    """{dotted key: [its value there, its value now]} where they differ; None for a key that one has not."""
    pairs = dict(_flat(there.settings)), dict(_flat(now.settings))
    keys = sorted({*pairs[0], *pairs[1]})
    return {key: [one.get(key) for one in pairs] for key in keys if pairs[0].get(key) != pairs[1].get(key)}


def _flat(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        yield at, value
        return
    for key, one in value.items():
        yield from _flat(one, f"{at}.{key}" if at else key)


def _line(row: Mapping[str, Any]) -> str:
    differs = row["differs"]
    if row["current"]:
        what, how = "", "the current run"
    else:
        shown = "" if row["difference"] is None else f"{row['difference']:+.2%}, p {row['p_holm']:.2g}: "
        how = f"{shown}{row['sentence']}"
        pairs = [f"{key} {json.dumps(a)} (now {json.dumps(b)})" for key, (a, b) in (differs or {}).items()]
        what = ", ".join(pairs) or "the same settings, other data or code"
    return f"  {row['run']}  {row['accuracy']:7.2%}  {how}" + (f"; {what}" if what else "")
