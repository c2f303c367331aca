"""Which columns of a file are problems and their answers, and which of its rows are to be asked and not learnt: for `make new`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery.evaluate import golds
from distillery.fetch import problem_columns, problem_file
from distillery.fetch.problem_file import Recipe
from distillery.problems import Problem
from distillery.tokenize import held_rows
from distillery.tokenize.readers import Source

QUESTIONS = ("problem", "question", "prompt", "instruction", "query")
ANSWERS = ("answer", "final_answer", "gold", "target", "solution", "output", "response", "completion")
MEANINGS: tuple[dict[str, Any], ...] = (
    {"after": golds.SOLUTION_END},
    {"boxed": True},
    {"type": "number"},
    {"type": "expression"},
)
MOST = 200  # problems: enough to see a change of a few percent, few enough to wait for
FEW = 20  # problems that a split should have, if a tenth of the rows are so many
READABLE = 0.9  # of the rows that are looked at
SPLITS = (20, 10, 5, 3, 2)  # of so many rows one is asked; the first that leaves enough on both sides


@dataclass(frozen=True)
class Asked:
    """A problem set of files, as a configuration has it.

    Attributes:
        how: its keys beside where the files are.
        problems: the texts.
    """

    how: Mapping[str, Any]
    problems: Sequence[str]


def columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The column map of rows that hold a question and an answer that can be compared; None for others."""
    by_name = {column.lower(): column for column in (rows[0] if rows else {})}
    asked = next((by_name[name] for name in QUESTIONS if name in by_name), None)
    if asked is None or not all(isinstance(row[asked], (str, type(None))) for row in rows):
        return None
    for name in ANSWERS:
        if (column := by_name.get(name)) is None:
            continue
        for meaning in MEANINGS:
            said = {"problem": asked, "answer": {"column": column, **meaning}}
            if _readable(rows, said) >= READABLE * len(rows):
                return said
    return None


def _readable(rows: Sequence[Mapping[str, Any]], said: Mapping[str, Any]) -> int:
    answer, found = problem_columns.parse(said)["answer"], 0
    for row in rows:
        try:
            answer.gold(row)
            found += 1
        except golds.Unreadable:
            pass
    return found


def of_file(name: str, sources: Sequence[Source], rows: Sequence[Mapping[str, Any]]) -> Asked:
    """The problem set that a file of problems is.

    Raises:
        Problem: no column of questions beside one of answers, or what importing it refuses.
    """
    said = columns(rows)
    if said is None:
        raise Problem(
            "no questions with answers that can be compared",
            where=sources[0].path,
            found=f"columns {', '.join(rows[0])}" if rows else "no rows",
            wanted=f"one of {', '.join(QUESTIONS)} beside one of {', '.join(ANSWERS)}: numbers or formulas, whole, in a "
            f"\\boxed{{}} or after {golds.SOLUTION_END}",
            fix="leave PROBLEMS out, and write the problem set by hand, as config/examples/local-problems.yaml does",
        )
    return _asked(name, sources, {"columns": said, "rows": MOST, "unscorable": "leave_out"})


def held_back(name: str, sources: Sequence[Source], rows: Sequence[Mapping[str, Any]]) -> Asked | None:
    """Rows of the training data to be asked and not learnt; None where they hold no answers, or are too few or alike.

    Raises:
        Problem: what importing them refuses, such as a question that occurs twice.
    """
    if (said := columns(rows)) is None:
        return None
    for one_in in SPLITS:
        settings = {"one_in": one_in, "columns": [said["problem"]], "alike": 1}
        rule = held_rows.of(settings)
        held = sum(rule.holds(row) for row in rows)
        if max(1, min(FEW, len(rows) // 10)) <= held <= len(rows) / 2:
            how = {"columns": said, "hold_out": settings, "rows": MOST, "unscorable": "leave_out"}
            return _asked(name, sources, how)
    return None


def _asked(name: str, sources: Sequence[Source], how: Mapping[str, Any]) -> Asked:
    found: dict[str, Path] = {source.path.name: source.path for source in sources}
    recipe = Recipe(
        name,
        problem_columns.parse(how["columns"]),
        hold_out=how.get("hold_out"),
        rows=how["rows"],
        leave_out=True,
    )
    made, _ = problem_file.read(found, recipe)
    return Asked(how, [row["problem"] for row in made])
