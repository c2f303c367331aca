"""The seeded generator as a dataset source: arithmetic examples as OpenR1 rows and as a problem set."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from distillery.fetch import openr1
from distillery.fetch.arithmetic import asked_examples, held_out_examples, training_examples
from distillery.problems import UsageProblem

SOURCE = "distillery-arithmetic"
HELD_OUT = "held_out"


def run_shard(args: argparse.Namespace) -> int:
    """Write the shard that fetch_generated_shard.py's flags ask for; returns its rows.

    Raises:
        UsageProblem: no such shard, or one without rows.
    """
    if not 0 <= args.shard < args.shards:
        raise UsageProblem(
            "no such shard",
            where="--shard",
            found=args.shard,
            wanted=f"0 to {args.shards - 1} (--shards {args.shards})",
        )
    if args.rows < 1:
        raise UsageProblem("a shard needs rows", where="--rows", found=args.rows, wanted="1 or more")
    rows = shard_rows(args.seed, args.shard, args.rows)
    return openr1.write(rows, openr1.SHARD_SCHEMA, args.output)


def run_problems(args: argparse.Namespace) -> int:
    """Write the problem set that fetch_generated_problems.py's flags ask for; returns its problems.

    Raises:
        UsageProblem: one without problems.
    """
    if args.rows < 1:
        raise UsageProblem(
            "a problem set needs problems", where="--rows", found=args.rows, wanted="1 or more"
        )
    return openr1.write(problem_rows(args.seed, args.rows, args.part), openr1.PROBLEM_SCHEMA, args.output)


def shard_rows(seed: int, shard: int, rows: int) -> Iterator[dict[str, Any]]:
    """Rows of `openr1.SHARD_SCHEMA` for one training shard."""
    for number, example in enumerate(training_examples(seed, shard, rows)):
        yield openr1.row(
            openr1.identifier(SOURCE, "train", seed, shard, number),
            example.problem,
            example.trace,
            example.answer,
            reasoning=example.trace,
            final=f"The answer is \\boxed{{{example.answer}}}.",
            problem_type=example.family,
            source=SOURCE,
        )


def problem_rows(seed: int, rows: int, part: str = HELD_OUT) -> Iterator[dict[str, str]]:
    """Rows of `openr1.PROBLEM_SCHEMA`, all from one part of the key space: held out, or that of training."""
    examples = held_out_examples if part == HELD_OUT else asked_examples
    for number, example in enumerate(examples(seed, rows)):
        yield {
            "uuid": openr1.identifier(SOURCE, "held out" if part == HELD_OUT else "asked", seed, number),
            "problem": example.problem,
            "answer": example.answer,
            "problem_type": example.family,
        }
