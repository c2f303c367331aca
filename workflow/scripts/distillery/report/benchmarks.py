"""One problem set's results as the field reports them, as rows of tables: functions of one comparison, so of any set's.

Values come with their intervals from `evaluate_compare.py`; nothing is computed anew here. Numbers that others published are
in `published_scores.json`, each with the place where it was read and how it was measured.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from distillery import json_files

Rows = list[dict[str, Any]]
SIDES = ("base", "tuned")
GROUPS = {"problem_type": "family", "source": "source", "level": "level"}
PUBLISHED = Path(__file__).with_name("published_scores.json")


def chances(comparison: dict[str, Any]) -> Rows:
    """pass@1, and pass@k and maj@k where problems have several samples: one row a measure, with both intervals."""
    sides = {side: _chances(comparison[side]) for side in SIDES}
    return [
        {"measure": name, **{side: sides[side][name] for side in SIDES}}
        for name in sides["base"]
        if name in sides["tuned"]
    ]


def _chances(side: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {"pass@1": {"value": side["accuracy"], "interval": side["interval"]}}
    for key, name in (("pass_at", "pass"), ("maj_at", "maj")):
        found |= {f"{name}@{k}": one for k, one in side.get(key, {}).items() if k != "1"}
    return found


def groups(comparison: dict[str, Any]) -> Rows:
    """By family, source and level: how often right, cut, still thinking, and how long, one row a group.

    `chances` are those of `chances`, `most` the names of those of all samples, where there are several. A column of which all problems have one value says nothing and is left out.
    """
    rows = []
    for key, by in GROUPS.items():
        values = comparison["groups"].get(key, {})
        if len(values) < 2:
            continue
        for value, sides in values.items():
            row = {"by": by, "group": value, "n": sides["base"]["n"]}
            row["most"] = [
                f"{name}@{comparison['samples']}" for name in ("pass", "maj") if comparison["samples"] > 1
            ]
            rows.append(row | {side: _short(sides[side]) for side in SIDES})
    return rows


def _short(side: dict[str, Any]) -> dict[str, Any]:
    return {
        "accuracy": side["accuracy"],
        "interval": side["interval"],
        "chances": _chances(side),
        "unfinished_think": side["unfinished_think"],
        "cut": side["stops"].get("length", 0) / side["n"],
        "stops": {stop: count / side["n"] for stop, count in side["stops"].items()},
        "tokens": side["tokens"]["mean"],
        "lengths": side["tokens"],
    }


def behaviour(comparison: dict[str, Any]) -> Rows:
    """How the models' generations ended and how long they are: one row a measure."""
    base, tuned = (comparison[side] for side in SIDES)
    rows = [("right, leniently read", base["lenient"]["accuracy"], tuned["lenient"]["accuracy"], "share")]
    rows.append(("with an answer in a box", base["boxed"], tuned["boxed"], "share"))
    rows.append(("thinking never closed", base["unfinished_think"], tuned["unfinished_think"], "share"))
    for stop in sorted(base["stops"] | tuned["stops"]):
        shares = [side["stops"].get(stop, 0) / side["n"] for side in (base, tuned)]
        rows.append((f"stopped by {stop}", *shares, "share"))
    for measure in ("mean", "median", "p90", "max"):
        rows.append((f"tokens, {measure}", base["tokens"][measure], tuned["tokens"][measure], "tokens"))
    for kind in ("right", "wrong"):
        rows.append(
            (f"tokens, mean of {kind} ones", base["tokens_of"][kind], tuned["tokens_of"][kind], "tokens")
        )
    rows.append(("answers out of time", base["timed_out"], tuned["timed_out"], "share"))
    rows.append(("answers that crashed the comparison", base["crashed"], tuned["crashed"], "share"))
    rows.append(("verdicts overruled by hand", base["overruled"], tuned["overruled"], "answers"))
    rows.append(("verdicts that math-verify alone disputes", base["disputed"], tuned["disputed"], "answers"))
    return [{"measure": name, "base": one, "tuned": two, "unit": unit} for name, one, two, unit in rows]


def published(problem_set: str) -> Rows:
    """What others published of a problem set of this name, in percent; none for one that is not known.

    Args:
        problem_set: its name here: `math-500`, `MATH_500` and `math500` are one, `aime-2024` is `aime24`.
    """
    found = json_files.read(PUBLISHED)
    return [row | found["sources"][row["source"]] for row in found["sets"].get(_known_as(problem_set), [])]


def unpublished(problem_set: str) -> str | None:
    """What is not among `published` of a problem set although it is looked for; None where nothing is missed."""
    return json_files.read(PUBLISHED)["gaps"].get(_known_as(problem_set))


def _known_as(problem_set: str) -> str:
    name = re.sub(r"[^a-z0-9]", "", problem_set.lower())
    return re.sub(r"^(aime|amc)20(\d\d)$", r"\1\2", name)
