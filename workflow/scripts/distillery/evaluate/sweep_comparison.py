"""An experiment beside the others of its sweep: every other one's tuned model against its own, on the same problems.

Each comparison is the one of `comparison`: same problems, same golds, the same number of samples. p-values are corrected for
their number (Holm 1979), so that among many experiments without an effect one in twenty sweeps calls any of them different.
What is compared with is the experiment that is asked about, not the best one, which would be chosen by the same answers.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np

from distillery import files
from distillery.evaluate import budgets, comparison, measures, scoring, statistics
from distillery.evaluate.measures import Scores
from distillery.problems import Problem, UsageProblem

LEVEL = 0.05


def run(args: argparse.Namespace) -> str:
    """Write the table that evaluate_sweep.py's flags ask for; returns it in a few lines.

    Raises:
        UsageProblem: --reference names none of --scores.
        Problem: as `scoring.read_jsonl`.
    """
    scores = {name: list(scoring.read_jsonl(path, comparison.READ)) for name, path in args.scores}
    if args.reference not in scores:
        raise UsageProblem(
            "no scores of the experiment", where="--reference", found=args.reference, wanted=", ".join(scores)
        )
    table = compare(scores, args.reference, args.seed)
    files.write_json(args.output, table)
    return "\n".join(f"{row['experiment']}: {row['sentence']}" for row in table["rows"])


def compare(scores: Mapping[str, Scores], reference: str, seed: int) -> dict[str, Any]:
    """`budget` (tokens, the median answer of all experiments), and `rows`, best first, as JSON.

    A row has the accuracy with its interval, the mean tokens, the accuracy where an answer may take `budget` tokens, and of
    all but the reference the difference with interval, `p`, `p_holm` and `needed` problems. An experiment that was asked
    something else has a row without them.

    Raises:
        Problem: no answer of an experiment can be scored.
    """
    kept = {name: measures.scorable(rows) for name, rows in scores.items()}
    budget = int(np.median([row["tokens"] for rows in kept.values() for row in rows]))
    rows = [_row(name, one, kept[reference], budget, seed, name == reference) for name, one in kept.items()]
    tested = [row for row in rows if row["p"] is not None]
    for row, p in zip(tested, statistics.holm([row["p"] for row in tested]), strict=True):
        row["p_holm"] = p
        row["sentence"] = _sentence(row)
    rows.sort(key=lambda row: (-row["accuracy"], row["experiment"]))
    return comparison.rounded({"reference": reference, "budget": budget, "seed": seed, "rows": rows})


def _row(name: str, scores: Scores, own: Scores, budget: int, seed: int, is_own: bool) -> dict[str, Any]:
    found = measures.accuracy(scores, "strict", seed)
    row = {
        "experiment": name,
        "accuracy": found["accuracy"],
        "interval": found["interval"],
        "n": len({one["id"] for one in scores}),
        "tokens": sum(one["tokens"] for one in scores) / len(scores),
        "within_budget": budgets.accuracy(scores, budget),
        **dict.fromkeys(("difference", "difference_interval", "p", "p_holm", "needed")),
        "sentence": "this experiment",
    }
    if is_own:
        return row
    try:
        comparison.check_samples(own, scores)
    except Problem as error:
        return row | {"sentence": f"not compared: {error.what}"}
    paired = comparison.paired(own, scores, seed)
    same = ("difference", "difference_interval", "p")
    return row | {key: paired[key] for key in same} | {"needed": paired["power"]["needed"]}


def _sentence(row: dict[str, Any]) -> str:
    if row["p_holm"] < LEVEL:
        return "better" if row["difference"] > 0 else "worse"
    shown = f"no difference shown at n = {row['n']}"
    return f"{shown}; one of this size would show at n = {row['needed']}" if row["needed"] else shown
