"""Problems with written solutions as a shard of conversations: the steps are the reasoning, the answer stands in a box."""

from __future__ import annotations

import argparse
from typing import Any

from distillery.evaluate import golds
from distillery.fetch import hold_out, openr1, problem_columns, problem_rows
from distillery.problems import Problem, UsageProblem


def run(args: argparse.Namespace) -> str:
    """Write the shard that import_solutions.py's flags ask for; says what it holds.

    Raises:
        UsageProblem: no such shard, or columns that make no sense.
        Problem: a file or a column that is not there.
    """
    if not 0 <= args.shard < args.shards:
        raise UsageProblem(
            "no such shard", where="--shard", found=args.shard, wanted=f"0 to {args.shards - 1}"
        )
    columns = problem_columns.parse(args.columns, problem_columns.SOLUTION)
    names = [column.name for column in columns.values() if column.constant is None]
    with problem_rows.opened(args.input, args.files) as found:
        rows = list(problem_rows.read(found, args.records, names))
    if args.hold_out:
        rows, _ = hold_out.split(rows, columns["uuid"], args.hold_out)
    made = [_conversation(row, columns, args.name) for row in rows[args.shard :: args.shards]]
    written = openr1.write(made, openr1.SHARD_SCHEMA, args.output)
    comparable = sum(row["correctness_count"] for row in made)
    return f"{written} rows, {comparable} with a comparable answer"


def _conversation(
    row: problem_rows.Row, columns: dict[str, problem_columns.Column], name: str
) -> dict[str, Any]:
    answer, steps = columns["answer"], columns["steps"].value(row.values)
    try:
        gold, comparable = answer.gold(row.values), True
    except golds.Unreadable:
        gold, comparable = answer.value(row.values), False
    listed = steps if isinstance(steps, list) else [steps]
    texts = {
        key: columns[key].text(row.values) for key in ("uuid", "problem", "problem_type") if key in columns
    }
    if not all(isinstance(one, str) for one in (gold, texts["problem"], *listed)):
        raise Problem("a row without a problem, steps and an answer", where=row.where, wanted="texts")
    reasoning = "\n".join(listed)
    box = gold if comparable else rf"\text{{{gold}}}"
    return openr1.row(
        texts["uuid"] or openr1.identifier(name, texts["problem"]),
        texts["problem"],
        reasoning,
        gold,
        reasoning=reasoning,
        final=rf"The answer is \boxed{{{box}}}.",
        problem_type=texts["problem_type"] or name,
        source=name,
        verified=comparable,
    )
