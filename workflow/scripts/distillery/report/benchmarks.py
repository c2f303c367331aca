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
    first = {
        side: {"value": comparison[side]["accuracy"], "interval": comparison[side]["interval"]}
        for side in SIDES
    }
    rows = [{"measure": "pass@1", **first}]
    for key, name in (("pass_at", "pass"), ("maj_at", "maj")):
        for k in comparison["base"].get(key, {}):
            if k != "1" and k in comparison["tuned"].get(key, {}):
                rows.append({"measure": f"{name}@{k}", **{side: comparison[side][key][k] for side in SIDES}})
    return rows


def groups(comparison: dict[str, Any]) -> Rows:
    """By family, source and level: how often right, cut, still thinking, and how long, one row a group.

    A column of which all problems have one value says nothing and is left out.
    """
    rows = []
    for key, by in GROUPS.items():
        values = comparison["groups"].get(key, {})
        if len(values) < 2:
            continue
        for value, sides in values.items():
            row = {"by": by, "group": value, "n": sides["base"]["n"]}
            rows.append(row | {side: _short(sides[side]) for side in SIDES})
    return rows


def _short(side: dict[str, Any]) -> dict[str, Any]:
    return {
        "accuracy": side["accuracy"],
        "interval": side["interval"],
        "unfinished_think": side["unfinished_think"],
        "cut": side["stops"].get("length", 0) / side["n"],
        "tokens": side["tokens"]["mean"],
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
    return [{"measure": name, "base": one, "tuned": two, "unit": unit} for name, one, two, unit in rows]


def published(problem_set: str) -> Rows:
    """What others published of a problem set of this name, in percent; none for one that is not known.

    Args:
        problem_set: its name here: `math-500`, `MATH_500` and `math500` are one, `aime-2024` is `aime24`.
    """
    found = json_files.read(PUBLISHED)
    name = re.sub(r"[^a-z0-9]", "", problem_set.lower())
    name = re.sub(r"^(aime|amc)20(\d\d)$", r"\1\2", name)
    return [row | found["sources"][row["source"]] for row in found["sets"].get(name, [])]
