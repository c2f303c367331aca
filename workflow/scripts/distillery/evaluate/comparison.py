"""Base against tuned on the same problems: accuracies with intervals, what flipped, and whether it is chance.

With one sample a problem, accuracies carry Wilson intervals, and the difference Newcombe's paired interval
and McNemar's exact test; a paired bootstrap stands beside them. With more samples a problem's score is the mean of its samples, the problem is the unit
that is resampled, and the test, which needs yes or no, is absent.
"""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

import numpy as np

from distillery import files
from distillery.evaluate import scoring, statistics
from distillery.problems import Problem

Scores = list[dict[str, Any]]
# what is read of a score
READ = (
    "id",
    "sample",
    "problem_type",
    "strict",
    "lenient",
    "stop",
    "tokens",
    "unfinished_think",
    "timed_out",
)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Write the comparison and the summary that evaluate_compare.py's flags ask for; returns the summary.

    Raises:
        Problem: as `scoring.read_jsonl` and `compare`.
    """
    base, tuned = (list(scoring.read_jsonl(path, READ)) for path in (args.base, args.tuned))
    compared = compare(base, tuned, args.seed)
    files.write_json(args.output, compared)
    files.write_json(args.summary, summary(compared))
    return summary(compared)


def compare(base: Scores, tuned: Scores, seed: int) -> dict[str, Any]:
    """The comparison as plain JSON values; numbers are rounded to 6 places.

    Raises:
        Problem: the two files do not score the same samples of the same problems.
    """
    for scores, other, name in ((base, tuned, "tuned"), (tuned, base, "base")):
        missing = {(row["id"], row["sample"]) for row in scores} - {
            (row["id"], row["sample"]) for row in other
        }
        if missing or not scores:
            raise Problem(
                "the scores are not of the same samples",
                found=f"{len(missing)} of {len(scores)} samples are missing from {name}: {sorted(missing)[:3]}",
                wanted="one score for each sample in both files",
                fix="score generations that were made from one problem set with one number of samples",
            )
    families = list(dict.fromkeys(row["problem_type"] for row in base))
    return _rounded(
        {
            "problems": len({row["id"] for row in base}),
            "samples": len({row["sample"] for row in base}),
            "seed": seed,
            "base": _side(base, seed),
            "tuned": _side(tuned, seed),
            "paired": _paired(base, tuned, seed),
            "families": {family: _family(base, tuned, family, seed) for family in families},
        }
    )


def summary(comparison: dict[str, Any]) -> dict[str, Any]:
    """What a reader asks first: strict accuracies, their difference, and a verdict."""
    paired = comparison["paired"]
    low, high = paired["difference_interval"]
    verdict = "better" if low > 0 else "worse" if high < 0 else "no clear difference"
    sides = {
        name: {key: comparison[name][key] for key in ("accuracy", "n", "interval")}
        for name in ("base", "tuned")
    }
    difference = {"difference": paired["difference"], "difference_interval": paired["difference_interval"]}
    return sides | difference | {"verdict": verdict}


def _side(scores: Scores, seed: int) -> dict[str, Any]:
    tokens = np.array([row["tokens"] for row in scores])
    rates = {key: sum(row[key] for row in scores) / len(scores) for key in ("unfinished_think", "timed_out")}
    return (
        _accuracy(scores, "strict", seed)
        | {"lenient": _accuracy(scores, "lenient", seed)}
        | rates
        | {
            "stops": dict(sorted(Counter(row["stop"] for row in scores).items())),
            "tokens": {
                "mean": float(tokens.mean()),
                "median": float(np.median(tokens)),
                "p90": float(np.quantile(tokens, 0.9)),
                "max": int(tokens.max()),
                "total": int(tokens.sum()),
            },
        }
    )


def _accuracy(scores: Scores, kind: str, seed: int) -> dict[str, Any]:
    means = _problem_means(scores, kind)
    right = sum(row[kind] for row in scores)
    one_sample = len(means) == len(scores)
    interval = (
        statistics.wilson(right, len(scores)) if one_sample else statistics.bootstrap(_values(means), seed)
    )
    return {
        "n": len(scores),
        "right": right,
        "accuracy": float(_values(means).mean()),
        "interval": list(interval),
    }


def _paired(base: Scores, tuned: Scores, seed: int) -> dict[str, Any]:
    before, after = _problem_means(base, "strict"), _problem_means(tuned, "strict")
    differences = np.array([after[problem] - before[problem] for problem in before])
    resampled = list(statistics.bootstrap(differences, seed))
    made = {
        "difference": float(differences.mean()),
        "difference_interval": resampled,
        "bootstrap_interval": resampled,
        "gained": [problem for problem in before if after[problem] > before[problem]],
        "lost": [problem for problem in before if after[problem] < before[problem]],
    }
    if len(before) == len(base):
        made["both"] = sum(1 for problem in before if before[problem] and after[problem])
        made["neither"] = sum(1 for problem in before if not before[problem] and not after[problem])
        lost, gained = len(made["lost"]), len(made["gained"])
        made["mcnemar_p"] = statistics.mcnemar(lost, gained)
        made["difference_interval"] = list(statistics.newcombe(made["both"], lost, gained, made["neither"]))
    return made


def _family(base: Scores, tuned: Scores, family: str, seed: int) -> dict[str, Any]:
    sides = {"base": base, "tuned": tuned}
    return {
        name: _accuracy([row for row in scores if row["problem_type"] == family], "strict", seed)
        for name, scores in sides.items()
    }


def _problem_means(scores: Scores, kind: str) -> dict[str, float]:
    """Mean of a problem's samples, problems in the order of the file."""
    samples: dict[str, list[bool]] = {}
    for row in scores:
        samples.setdefault(row["id"], []).append(row[kind])
    return {problem: sum(values) / len(values) for problem, values in samples.items()}


def _values(means: dict[str, float]) -> np.ndarray:
    return np.array(list(means.values()))


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.3g}") if 0 < abs(value) < 1e-4 else round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value
