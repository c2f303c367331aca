r"""What a human decided: verdicts on answers, in a file that every later scoring respects and counts.

    {"id": "test/algebra/1.json", "gold": "AB", "answer": "\\overline{AB}", "right": true, "why": "the same segment"}

One JSON line a decision, in config/overrules/PROBLEM_SET.jsonl. It is about one answer to one problem, whoever gives it: base,
tuned, another experiment. It names the gold, so that it cannot outlive a gold that was mended. With `"boxed": false` it is about
that answer where it stands in no box that counts: found in a text without one, or in a generation that was cut.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery import json_rows
from distillery.evaluate import golds
from distillery.problems import Problem

KEYS = ("id", "gold", "answer", "right")


@dataclass(frozen=True)
class Overrules:
    """Decisions by (problem's id, answer's text, whether in a box that counts)."""

    decisions: dict[tuple[str, str, bool], bool]

    def apply(self, score: dict[str, Any]) -> None:
        """Let the human's decision replace the verdict on the answer, which `overruled` keeps."""
        decision = self.decisions.get((score["id"], score["answer"], score["boxed"] is not None))
        score["overruled"] = None
        if decision is not None:
            score["overruled"] = score["strict"]
            score |= {"strict": decision, "lenient": decision, "rule": "overruled"}


def read(path: Path | None, problems: Iterable[dict[str, Any]]) -> Overrules:
    """The decisions of a file, held against the problems; none without a file.

    Raises:
        Problem: a line that is no decision, contradicts another, or is about no problem of the set or another gold.
    """
    if path is None:
        return Overrules({})
    if not path.is_file():
        raise Problem("no such file of overrules", where=path, fix="leave --overrules out, or write the file")
    rows = {problem["uuid"]: problem["answer"] for problem in problems}
    decisions: dict[tuple[str, str, bool], bool] = {}
    for number, row in json_rows.read(path):
        _check_shape(row, f"{path}, line {number}")
        _check_gold(row, rows, f"{path}, line {number}")
        about = row["id"], row["answer"], row.get("boxed", True)
        if decisions.setdefault(about, row["right"]) != row["right"]:
            raise Problem(
                "two decisions on one answer contradict each other",
                where=f"{path}, line {number}",
                found=row["id"],
            )
    return Overrules(decisions)


def line(score: dict[str, Any]) -> str:
    """The line that overrules a score, for a human to complete."""
    decision = {key: score[key] for key in ("id", "gold", "answer")}
    if score["boxed"] is None:
        decision["boxed"] = False
    decision |= {"right": not score["strict"], "why": ""}
    return json.dumps(decision, ensure_ascii=False)


def _check_shape(row: dict[str, Any], where: str) -> None:
    found = json.dumps(row, ensure_ascii=False)[:200]
    if set(KEYS) - set(row):
        raise Problem("not a decision", where=where, found=found, wanted=", ".join(KEYS))
    truths = row["right"], row.get("boxed", True)
    if not all(isinstance(one, bool) for one in truths) or not all(
        isinstance(row[key], str) for key in KEYS[:3]
    ):
        raise Problem(
            "not a decision", where=where, found=found, wanted="texts, and right (and boxed): true or false"
        )


def _check_gold(row: dict[str, Any], problems: dict[str, Any], where: str) -> None:
    if row["id"] not in problems:
        raise Problem(
            "a decision about a problem that the set has not",
            where=where,
            found=row["id"],
            fix="correct the id, or move the line to the overrules of its own problem set",
        )
    try:
        gold = golds.read(problems[row["id"]])
    except golds.Unreadable as error:
        gold = f"nothing that can be read ({error})"
    if row["gold"] != gold:
        raise Problem(
            "a decision about another gold than the problem has now",
            where=where,
            found=row["gold"],
            wanted=gold,
            fix="decide again, or remove the line",
        )
