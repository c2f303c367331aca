"""Whether a problem set can be scored: each gold, boxed after a closed thought, must be right against itself.

    found = check([problem["answer"] for problem in problems], workers=2)
    found["unreadable"], found["wrong"], found["kinds"]

It finds golds that hold no answer (`golds`), and those that no model could be right on: cut by the reading, or beyond the
limits of time. `kinds` says how golds will be compared: those of kind "text" only with the same text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distillery import files
from distillery.evaluate import golds, judge, notation, quantities, rules, scoring
from distillery.marks import END_THINK, THINK
from distillery.problems import Problem

THOUGHT = f"{THINK}\nThe answer is known.\n{END_THINK}\n\nThe answer is "


def report(problems: Path, output: Path | None, workers: int = 2, cpu_seconds: float = 10.0) -> str:
    """Check a problem set's file, say in a line what was found, and write it as JSON if `output` is given.

    Raises:
        Problem: golds that cannot be read, or are not right against themselves; it names all of them.
    """
    found = check([row["answer"] for row in scoring.read_problems(problems)], workers, cpu_seconds)
    if output:
        files.write_json(output, found)
    kinds = ", ".join(f"{count} {name}" for name, count in found["kinds"].items())
    if trouble := problem(found, problems):
        raise trouble
    return f"{problems}: {found['right']} of {found['readable']} readable golds are right against themselves ({kinds})"


def problem(found: dict[str, Any], where: object) -> Problem | None:
    """All golds of `check`'s result that no answer can be right against, as one error; None if there are none."""
    lines = [f"row {row['row']}, column answer: {row['found']}: {row['why']}" for row in found["unreadable"]]
    lines += [
        f"row {row['row']}, column answer: {row['gold']!r} boxed is read as {row['answer']!r}, {row['rule']}"
        for row in found["wrong"]
    ]
    if not lines:
        return None
    return Problem(
        f"{len(lines)} of {found['golds']} golds cannot be scored",
        where=where,
        found="\n          ".join(lines),
        wanted="a number, an expression, a choice or words in each row",
        fix="mend the rows, or leave them out of the problem set",
    )


def check(answers: Sequence[Any], workers: int = 2, cpu_seconds: float = 10.0) -> dict[str, Any]:
    """How each gold was read and judged, as JSON.

    `golds`, `readable` and `right` are counts, `math_verify` those of `right` that it says too; then `kinds`, and
    `unreadable` and `wrong`: rows (from 0) with what was found.
    """
    unreadable = golds.unreadable(answers)
    readable = {
        number: golds.read(answer) for number, answer in enumerate(answers) if number not in unreadable
    }
    rows = list(readable)
    questions = [
        judge.Question(readable[row], rf"{THOUGHT}\boxed{{{readable[row]}}}.", name=f"in row {row}")
        for row in rows
    ]
    wrong, right, theirs, kinds = {}, 0, 0, Counter()
    for number, verdict in judge.judge(questions, workers, cpu_seconds):
        gold = readable[rows[number]]
        if verdict.strict:
            right += 1
            theirs += bool(verdict.math_verify)
        else:
            wrong[rows[number]] = {"gold": gold, "answer": verdict.boxed, "rule": verdict.rule}
    for gold in readable.values():
        kinds[kind(gold)] += 1
    return {
        "golds": len(answers),
        "readable": len(readable),
        "right": right,
        "math_verify": theirs,
        "kinds": dict(sorted(kinds.items())),
        "unreadable": [
            {"row": row, "found": repr(answers[row])[:200], "why": why}
            for row, why in sorted(unreadable.items())
        ],
        "wrong": [{"row": row, **found} for row, found in sorted(wrong.items())],
    }


def kind(gold: str) -> str:
    """How a gold will be compared: "choice", "number", "words", "expression" by math-verify, or "text" as it is."""
    text = notation.normal(gold)
    if rules.names_a_choice(text):
        return "choice"
    if quantities.number(text):
        return "number"
    if rules.is_words(text):
        return "words"
    return "text" if notation.CHINESE.search(text) or not judge.parses(text) else "expression"
