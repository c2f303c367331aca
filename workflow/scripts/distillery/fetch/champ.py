"""CHAMP (Mao et al., 2024; PyPI champ-dataset, MIT): 270 competition problems as shards and a problem set.

A stable hash holds a third back, variants of one problem together. Of those, only problems whose answer
math-verify can compare make the problem set; held-out ones with an answer in words are in neither file
and counted.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import itertools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery.fetch import openr1, wheel
from distillery.fetch.plain_formulas import to_latex
from distillery.problems import Problem, UsageProblem

MEMBER = "champ_dataset/dataset_files/v0.json"
SOURCE = "champ"
HELD_OUT_ONE_IN = 3
ALIKE = 0.45


@dataclass(frozen=True)
class Exercise:
    """A problem with its gold steps; `answer` is LaTeX where `is_formula`, else words."""

    identifier: str
    category: str
    problem: str
    steps: tuple[str, ...]
    answer: str
    is_formula: bool

    @functools.cached_property
    def words(self) -> frozenset[str]:
        return frozenset(re.findall(r"\w+", " ".join([self.problem, *self.steps]).lower()))


def run(args: argparse.Namespace) -> str:
    """Write the shard or the problem set that fetch_champ.py's flags ask for; says what it holds.

    Raises:
        UsageProblem: no such shard, or a number of rows that makes no sense.
        Problem: as `read`.
    """
    if not 0 <= args.shard < args.shards:
        raise UsageProblem(
            "no such shard", where="--shard", found=args.shard, wanted=f"0 to {args.shards - 1}"
        )
    if args.rows is not None and (args.kind == "shard" or args.rows < 1):
        raise UsageProblem("wrong --rows", found=args.rows, wanted="1 or more, with --kind problems")
    exercises = read(args.wheel)
    if args.kind == "shard":
        rows = shard_rows(exercises, args.shard, args.shards)
        written = openr1.write(rows, openr1.SHARD_SCHEMA, args.output)
        comparable = sum(row["correctness_count"] for row in rows)
        return f"{written} rows, {comparable} with a comparable answer"
    problems = problem_rows(exercises)
    chosen = problems if args.rows is None else evenly(problems, args.rows)
    written = openr1.write(chosen, openr1.PROBLEM_SCHEMA, args.output)
    in_words = len(split(exercises)[1]) - len(problems)
    return f"{written} of {len(problems)} held-out problems; {in_words} more have answers in words"


def read(path: Path) -> list[Exercise]:
    """All exercises of the wheel in the order of their identifiers.

    Raises:
        Problem: the wheel is not CHAMP's, or an entry lacks a field.
    """
    with wheel.member(path, MEMBER) as stream:
        entries = json.load(stream)["problems"]
    exercises = []
    for identifier, entry in sorted(entries.items()):
        try:
            latex = to_latex(entry["_answer"])
            exercises.append(
                Exercise(
                    identifier,
                    entry["category"].replace("-", " "),
                    entry["_text"],
                    tuple(step["_text"] for step in entry["solution"]["steps"]),
                    entry["_answer"] if latex is None else latex,
                    latex is not None and _is_comparable(latex),
                )
            )
        except (KeyError, TypeError) as error:
            raise Problem(
                "not an entry of CHAMP", where=f"{path}, {MEMBER}, {identifier}", found=error
            ) from None
    return exercises


def _is_comparable(latex: str) -> bool:
    """Whether math-verify reads a mathematical object in it, not only a string."""
    from math_verify import parse

    found = parse(f"${latex}$")
    return bool(found) and not isinstance(found[0], str)


def split(exercises: list[Exercise]) -> tuple[list[Exercise], list[Exercise]]:
    """(training part, held-out part); exercises alike in wording are on the same side.

    Two are alike when the words of their problems and steps overlap (Jaccard) by `ALIKE`: CHAMP has one
    puzzle told twice, and pairs that differ in a bound. A stable hash of a group's first name decides.
    """
    groups: list[list[Exercise]] = []
    for exercise in exercises:
        near = [group for group in groups if any(_overlap(exercise, other) >= ALIKE for other in group)]
        groups = [group for group in groups if group not in near] + [[exercise, *itertools.chain(*near)]]
    parts: tuple[list[Exercise], list[Exercise]] = ([], [])
    for group in groups:
        name = min(exercise.identifier for exercise in group)
        digest = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
        parts[digest % HELD_OUT_ONE_IN == 0].extend(group)
    return tuple(sorted(part, key=lambda exercise: exercise.identifier) for part in parts)


def _overlap(one: Exercise, other: Exercise) -> float:
    return len(one.words & other.words) / len(one.words | other.words)


def shard_rows(exercises: list[Exercise], shard: int, shards: int) -> list[dict[str, Any]]:
    """OpenR1 rows of every `shards`-th training exercise: the gold steps as reasoning, then the box."""
    rows = []
    for exercise in split(exercises)[0][shard::shards]:
        steps = "\n".join(exercise.steps)
        box = exercise.answer if exercise.is_formula else rf"\text{{{exercise.answer}}}"
        rows.append(
            openr1.row(
                openr1.identifier(SOURCE, exercise.identifier),
                exercise.problem,
                steps,
                exercise.answer,
                reasoning=steps,
                final=rf"The answer is \boxed{{{box}}}.",
                problem_type=exercise.category,
                source=SOURCE,
                verified=exercise.is_formula,
            )
        )
    return rows


def problem_rows(exercises: list[Exercise]) -> list[dict[str, str]]:
    """Held-out exercises with an answer in symbols."""
    return [
        {
            "uuid": openr1.identifier(SOURCE, exercise.identifier),
            "problem": exercise.problem,
            "answer": exercise.answer,
            "problem_type": exercise.category,
        }
        for exercise in split(exercises)[1]
        if exercise.is_formula
    ]


def evenly(rows: list[dict[str, str]], count: int) -> list[dict[str, str]]:
    """At most `count` of the rows, spread over the whole list, which is sorted by category."""
    kept = min(count, len(rows))
    return [rows[number * len(rows) // kept] for number in range(kept)]
