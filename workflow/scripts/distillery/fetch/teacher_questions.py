"""A teacher's questions: the problems of a set whose golds can be read, as far as a budget goes, in parts."""

from __future__ import annotations

import argparse
from typing import Any

from distillery import digests
from distillery.evaluate import golds, scoring
from distillery.fetch import openr1
from distillery.problems import Problem, UsageProblem


def run(args: argparse.Namespace) -> str:
    """Write the part that fetch_teacher_questions.py's flags ask for, and its counts beside it; says what it holds.

    Raises:
        UsageProblem: no such part.
        Problem: no problem set, one without problems or names for them, or a part without a problem.
    """
    if not 0 <= args.part < args.parts:
        raise UsageProblem("no such part", where="--part", found=args.part, wanted=f"0 to {args.parts - 1}")
    rows = scoring.read_problems(args.problems)
    mute = golds.unreadable(row["answer"] for row in rows)
    readable = [row for number, row in enumerate(rows) if number not in mute]
    asked = readable[: args.most]
    # neighbours: kinds of problems may stand in rotation
    begin, end = (len(asked) * edge // args.parts for edge in (args.part, args.part + 1))
    mine = asked[begin:end]
    if not mine:
        raise Problem(
            "a part without a problem to ask",
            where=f"{args.problems}, part {args.part} of {args.parts}",
            found=f"{len(rows)} problems, {len(readable)} with a gold that can be read, {len(asked)} within the budget",
            wanted=f"at least {args.parts}",
            fix="write fewer shards, a larger budget, or another problem set",
        )
    name = args.problems.stem
    made = [_row(row, name) for row in mine]
    openr1.write(made, openr1.QUESTION_SCHEMA, args.output)
    left = {"unreadable_golds": len(mute), "beyond_the_budget": len(readable) - len(asked)}
    digests.write_json(args.counts, {"problems": len(rows), "asked": len(asked), "part": len(mine), **left})
    return f"{len(mine)} of {len(rows)} problems; of all {len(mute)} have no gold that can be read, {left['beyond_the_budget']} are beyond the budget"


def _row(problem: dict[str, Any], name: str) -> dict[str, str]:
    return {
        "uuid": str(problem["uuid"]),
        "problem": problem["problem"],
        "answer": golds.read(problem["answer"]),
        "problem_type": problem.get("problem_type") or name,
        "source": problem.get("source") or name,
    }
