"""What the scores of one model on one problem set come to: the numbers that the field reports, with intervals.

The problem is the unit: a problem's value is the mean of its samples, and intervals are over problems: Wilson's with one sample
a problem, else a bootstrap over problems, but where that could only be a point (`statistics.mean_shares`). Problems whose golds cannot be read count nowhere; they are
named under `unscorable`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from distillery.evaluate import notation, quantities, statistics
from distillery.evaluate.repeated_samples import RIGHT, ks, majority_at, pass_at
from distillery.problems import Problem

Scores = list[dict[str, Any]]
GROUPS = ("problem_type", "source", "level")


def scorable(scores: Scores) -> Scores:
    """The scores of problems whose golds can be read.

    Raises:
        Problem: there are none.
    """
    kept = [row for row in scores if row.get("scorable", True)]
    if not kept:
        raise Problem(
            "no answer can be scored",
            found=f"{len(scores)} scores, none of a problem whose gold can be read",
            fix="mend the golds of the problem set: score.py --self-check lists them",
        )
    return kept


def side(scores: Scores, seed: int) -> dict[str, Any]:
    """All numbers of one model; `accuracy` is pass@1."""
    kept = scorable(scores)
    unscorable = sorted({row["id"] for row in scores if not row.get("scorable", True)})
    return (
        accuracy(kept, "strict", seed)
        | {"lenient": accuracy(kept, "lenient", seed)}
        | behaviour(kept)
        | repeated(kept, seed)
        | {
            "unscorable": {"problems": len(unscorable), "ids": unscorable},
            "overruled": sum(row.get("overruled") is not None for row in kept),
            "disputed": sum(disputed(row) for row in kept),
            "rules": dict(sorted(Counter(row.get("rule", "math-verify") for row in kept).items())),
        }
    )


def accuracy(scores: Scores, kind: str, seed: int) -> dict[str, Any]:
    """n answers, how many are right, the mean over problems with its 95 % interval."""
    values = np.array(list(problem_means(scores, kind).values()))
    (interval,) = statistics.mean_shares(values[:, None], seed)
    return {
        "n": len(scores),
        "right": sum(row[kind] for row in scores),
        "accuracy": float(values.mean()),
        "interval": list(interval),
    }


def behaviour(scores: Scores) -> dict[str, Any]:
    """How generations ended and how long they are; shares of answers, tokens."""
    tokens = np.array([row["tokens"] for row in scores])
    of_right = {
        name: [row["tokens"] for row in scores if row["strict"] is kind]
        for name, kind in (("right", True), ("wrong", False))
    }
    rates = {
        key: sum(row.get(key, False) for row in scores) / len(scores)
        for key in ("unfinished_think", "timed_out", "crashed")
    }
    return rates | {
        "boxed": sum(row.get("boxed", row["strict"]) not in (None, False) for row in scores) / len(scores),
        "stops": dict(sorted(Counter(row["stop"] for row in scores).items())),
        "tokens": {
            "mean": float(tokens.mean()),
            "median": float(np.median(tokens)),
            "p90": float(np.quantile(tokens, 0.9)),
            "max": int(tokens.max()),
            "total": int(tokens.sum()),
        },
        "tokens_of": {name: float(np.mean(found)) if found else None for name, found in of_right.items()},
    }


def repeated(scores: Scores, seed: int) -> dict[str, Any]:
    """pass@k and maj@k of several samples a problem: {k: {value, interval}}; nothing where there is one sample."""
    samples: dict[str, Scores] = {}
    for row in scores:
        samples.setdefault(row["id"], []).append(row)
    least = min(map(len, samples.values()))  # a beam search may find fewer answers than asked for
    if least < 2:
        return {}
    rows = []
    for problem in samples.values():
        right, answers = sum(row["strict"] for row in problem), [vote(row) for row in problem]
        rows.append(
            [pass_at(right, len(problem), k) for k in ks(least)]
            + [majority_at(answers, k) for k in ks(least)]
        )
    values = np.array(rows)
    found = [
        {"value": float(value), "interval": [float(bound) for bound in interval]}
        for value, interval in zip(values.mean(axis=0), statistics.mean_shares(values, seed), strict=True)
    ]
    names = [str(k) for k in ks(least)]
    return {
        "pass_at": dict(zip(names, found[: len(names)], strict=True)),
        "maj_at": dict(zip(names, found[len(names) :], strict=True)),
    }


def vote(row: dict[str, Any]) -> str | None:
    """The answer that a sample votes for: right ones are one answer, wrong ones are told apart by value or text.

    What could not be compared within the limits is not normalized here either, where there are none.
    """
    if row["strict"]:
        return RIGHT
    if row.get("boxed") is None or row.get("timed_out") or row.get("crashed"):
        return row.get("boxed")
    text = notation.normal(row["boxed"])
    number = quantities.number(text)
    return f"{number.value}{'%' * number.percent}" if number else notation.squeezed(notation.unwrapped(text))


def groups(scores: Scores, seed: int) -> dict[str, dict[str, Any]]:
    """The same numbers for each value of each of `GROUPS` that the scores have: {"level": {"3": {...}}}."""
    found: dict[str, dict[str, Any]] = {}
    for key in GROUPS:
        values = list(dict.fromkeys(row[key] for row in scores if key in row))
        for value in values:
            rows = [row for row in scores if row.get(key) == value]
            found.setdefault(key, {})[str(value)] = (
                accuracy(rows, "strict", seed) | behaviour(rows) | repeated(rows, seed)
            )
    return found


def lines(scores: Scores, seed: int = 0) -> list[str]:
    """One model's numbers for a terminal: first all of it, with intervals, then a line a family, source and level.

    Nothing where no gold can be read.
    """
    kept = [row for row in scores if row.get("scorable", True)]
    if not kept:
        return []
    made = [_chances_line(kept, seed), _behaviour_line(kept)]
    for key in GROUPS:
        values = list(dict.fromkeys(row[key] for row in kept if key in row))
        for value in values if len(values) > 1 else []:
            rows = [row for row in kept if row.get(key) == value]
            chances = _chances_line(rows, seed)
            made.append(f"{key} {value}: {len(rows)} answers, {chances}, {_behaviour_line(rows)}")
    return made


def chances(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """pass@1, and pass@k and maj@k where there are several samples, of a side or a group: {name: {value, interval}}."""
    named = {"pass@1": {"value": found["accuracy"], "interval": found["interval"]}}
    for key, name in (("pass_at", "pass"), ("maj_at", "maj")):
        named |= {f"{name}@{k}": one for k, one in found.get(key, {}).items() if k != "1"}
    return named


def _chances_line(scores: Scores, seed: int) -> str:
    return ", ".join(
        f"{name} {one['value']:.1%} ({one['interval'][0]:.1%} to {one['interval'][1]:.1%})"
        for name, one in chances(accuracy(scores, "strict", seed) | repeated(scores, seed)).items()
    )


def _behaviour_line(scores: Scores) -> str:
    found = behaviour(scores)
    stops = ", ".join(f"{count / len(scores):.1%} {stop}" for stop, count in found["stops"].items())
    tokens = found["tokens"]
    return (
        f"thinking never closed {found['unfinished_think']:.1%}, stopped by {stops}, "
        f"tokens mean {tokens['mean']:,.0f}, median {tokens['median']:,.0f}, p90 {tokens['p90']:,.0f}, max {tokens['max']:,}"
    )


def disputed(row: dict[str, Any]) -> bool:
    """Whether math-verify alone says otherwise, or no verdict came."""
    theirs = row.get("math_verify")
    return (theirs is not None and theirs != row["strict"]) or bool(
        row.get("timed_out") or row.get("crashed")
    )


def problem_means(scores: Scores, kind: str) -> dict[str, float]:
    """Mean of a problem's samples, problems in the order of the file."""
    samples: dict[str, list[bool]] = {}
    for row in scores:
        samples.setdefault(row["id"], []).append(row[kind])
    return {problem: sum(values) / len(values) for problem, values in samples.items()}
