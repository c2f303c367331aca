"""Two models on the same problems: accuracies with intervals, what flipped, whether it is chance, and what it cost.

Where each problem is right or wrong, as with one sample, accuracies carry Wilson intervals, and the difference Newcombe's paired
interval and McNemar's exact test; a paired bootstrap stands beside them. Else a problem's score is the mean of its samples,
the problem is resampled, and the test flips signs of problems' differences, which is McNemar's where both can be. Where no
difference is shown, `power` says how many problems would show one of this size.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from typing import Any

import numpy as np

from distillery import digests, one_writer
from distillery.evaluate import budgets, measures, model_index, scoring, statistics
from distillery.problems import Problem, located

Scores = list[dict[str, Any]]
# what is read of a score; more is used where it is there
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


def run(args: argparse.Namespace) -> str:
    """Write the comparison and the summary that evaluate_compare.py's flags ask for; returns it in a few lines.

    Raises:
        Problem: as `scoring.read_jsonl` and `compare`.
    """
    base, tuned = (list(scoring.read_jsonl(path, READ)) for path in (args.base, args.tuned))
    with located(f"{args.base}, {args.tuned}"):
        compared = compare(base, tuned, args.seed, tuple(args.names))
    sets = {name: summary(digests.read_json(path)) for name, path in args.further_sets}
    named = {args.problem_set: summary(compared), **sets} if args.problem_set else {}
    with one_writer.of(args.output):
        digests.write_json(args.output, compared)
        index = {"model-index": model_index.of(args.names[1], named or {"problems": summary(compared)})}
        digests.write_json(args.summary, summary(compared) | ({"sets": named} if named else {}) | index)
    return "\n".join(lines(compared))


def compare(
    base: Scores, tuned: Scores, seed: int, names: tuple[str, str] = ("base", "tuned")
) -> dict[str, Any]:
    """The comparison as plain JSON values; numbers are rounded to 6 places.

    Args:
        names: what the two sides are called where they are shown; the keys stay base and tuned.

    Raises:
        Problem: the two files do not score the same samples of the same problems with the same golds, or none at all.
    """
    check_samples(base, tuned)
    sides = {"base": base, "tuned": tuned}
    kept = {name: measures.scorable(scores) for name, scores in sides.items()}
    first, second = kept["base"], kept["tuned"]
    families = list(dict.fromkeys(row["problem_type"] for row in first))
    grouped = {name: measures.groups(scores, seed) for name, scores in kept.items()}
    return rounded(
        {
            "problems": len({row["id"] for row in first}),
            "samples": len({row["sample"] for row in first}),
            "seed": seed,
            "names": dict(zip(sides, names, strict=True)),
            "same": {key: _same(first, second, key) for key in ("prompt", "seed")},
            **_rounded_weights(sides),
            **{name: measures.side(scores, seed) for name, scores in sides.items()},
            "paired": paired(first, second, seed),
            "families": {
                family: {name: _family(scores, family, seed) for name, scores in kept.items()}
                for family in families
            },
            "groups": {
                key: {
                    value: {name: grouped[name][key][value] for name in sides}
                    for value in grouped["base"][key]
                }
                for key in grouped["base"]
            },
            "budgets": budgets.table(first, second),
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
    more = (
        "lenient",
        "pass_at",
        "maj_at",
        "unfinished_think",
        "boxed",
        "stops",
        "tokens",
        "unscorable",
        "overruled",
    )
    found = {key: paired[key] for key in ("difference", "difference_interval", "p", "power")}
    return {
        **sides,
        **found,
        "problems": comparison["problems"],
        "samples": comparison["samples"],
        "measures": {
            name: {key: comparison[name][key] for key in more if key in comparison[name]} for name in sides
        },
        **({"weights": comparison["weights"]} if "weights" in comparison else {}),
        "verdict": verdict,
        "sentence": sentence(comparison, verdict),
    }


def lines(comparison: dict[str, Any]) -> list[str]:
    """The comparison in a few lines: each side, the verdict, and whether they were not asked alike."""
    said = []
    for name, called in comparison["names"].items():
        low, high = comparison[name]["interval"]
        said.append(
            f"{called}: {comparison[name]['accuracy']:.1%} of {comparison[name]['n']} ({low:.1%} to {high:.1%})"
        )
    said.append(summary(comparison)["sentence"])
    said += [
        f"note: {comparison['names'][side]} answered with {kind} weights, which lost precision"
        for side, kind in comparison.get("weights", {}).items()
    ]
    return said + [
        f"note: the two were not made with the same {key}s"
        for key, same in comparison["same"].items()
        if same is False
    ]


def sentence(comparison: dict[str, Any], verdict: str) -> str:
    """The verdict with what stands behind it; where no difference is shown, what would show it."""
    n, paired = comparison["problems"], comparison["paired"]
    low, high = (100 * bound for bound in paired["difference_interval"])
    shown = (
        f"{100 * paired['difference']:+.1f} points, with 95 % confidence between {low:+.1f} and {high:+.1f}"
    )
    if verdict != "no clear difference":
        return f"{shown} (p = {paired['p']:.2g}, n = {n})"
    power = paired["power"]
    if power["needed"] is None:
        return f"no difference shown at n = {n}: {shown}"
    return f"no difference shown at n = {n}: {shown}; a difference of this size would show at n = {power['needed']}"


def check_samples(base: Scores, tuned: Scores) -> None:
    """See that both score the same samples of the same problems with the same golds.

    Raises:
        Problem: they do not, or there are none.
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
    golds = {row["id"]: row.get("gold") for row in base}
    other = [row["id"] for row in tuned if row.get("gold") != golds[row["id"]]]
    if other:
        raise Problem(
            "the scores are not against the same golds",
            found=f"{len(other)} scores, first of problem {other[0]}",
            fix="score both with the same problem set",
        )


def _rounded_weights(sides: dict[str, Scores]) -> dict[str, dict[str, str]]:
    """How the weights of a side's answers were rounded, of those that were."""
    found = {
        name: ", ".join(sorted({row["weights"] for row in scores if "weights" in row}))
        for name, scores in sides.items()
    }
    kinds = {name: kind for name, kind in found.items() if kind}
    return {"weights": kinds} if kinds else {}


def _same(base: Scores, tuned: Scores, key: str) -> bool | None:
    """Whether both were made with the same prompts, or seeds; None where the scores do not say."""
    sides = [{(row["id"], row["sample"]): row.get(key) for row in scores} for scores in (base, tuned)]
    if any(value is None for side in sides for value in side.values()):
        return None
    return sides[0] == sides[1]


def paired(base: Scores, tuned: Scores, seed: int) -> dict[str, Any]:
    """Tuned minus base, problem by problem: difference, intervals, what flipped, p-values, power."""
    before, after = (measures.problem_means(scores, "strict") for scores in (base, tuned))
    values = np.array([[before[problem], after[problem]] for problem in before])
    differences = values[:, 1] - values[:, 0]
    resampled = list(statistics.bootstrap(differences, seed))
    deviation = float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
    made = {
        "difference": float(differences.mean()),
        "difference_interval": resampled,
        "bootstrap_interval": resampled,
        "gained": [problem for problem in before if after[problem] > before[problem]],
        "lost": [problem for problem in before if after[problem] < before[problem]],
        "p": statistics.sign_flip([Fraction(value).limit_denominator(10**6) for value in differences]),
        "power": {
            "needed": statistics.needed(float(differences.mean()), deviation),
            "shown": statistics.shown(len(differences), deviation),
        },
    }
    if statistics.all_or_none(values):
        made["both"] = int((values.sum(axis=1) == 2).sum())
        made["neither"] = int((values.sum(axis=1) == 0).sum())
        lost, gained = len(made["lost"]), len(made["gained"])
        made["mcnemar_p"] = statistics.mcnemar(lost, gained)
        made["difference_interval"] = list(statistics.newcombe(made["both"], lost, gained, made["neither"]))
    return made


def _family(scores: Scores, family: str, seed: int) -> dict[str, Any]:
    return measures.accuracy([row for row in scores if row["problem_type"] == family], "strict", seed)


def rounded(value: Any) -> Any:
    """JSON values with numbers of 6 places."""
    if isinstance(value, float):
        return float(f"{value:.3g}") if 0 < abs(value) < 1e-4 else round(value, 6)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value
