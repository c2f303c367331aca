"""The seeded generator as a dataset source: its examples, of either kind, as OpenR1 rows and as a problem set."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from distillery.fetch import arithmetic, openr1, stories
from distillery.problems import UsageProblem

SOURCES = {"arithmetic": arithmetic, "stories": stories}
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
    rows = shard_rows(args.seed, args.shard, args.rows, args.kind)
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
    rows = problem_rows(args.seed, args.rows, args.part, args.kind)
    return openr1.write(rows, openr1.PROBLEM_SCHEMA, args.output)


def shard_rows(seed: int, shard: int, rows: int, kind: str = "arithmetic") -> Iterator[dict[str, Any]]:
    """Rows of `openr1.SHARD_SCHEMA` for one training shard.

    Traces of arithmetic are thoughts in tags. Those of stories are part of the answer: a model that was pre-trained to answer
    plainly goes on to.
    """
    source = f"distillery-{kind}"
    for number, example in enumerate(SOURCES[kind].training_examples(seed, shard, rows)):
        final = f"The answer is \\boxed{{{example.answer}}}."
        made = openr1.row(
            openr1.identifier(source, "train", seed, shard, number),
            example.problem,
            example.trace,
            example.answer,
            reasoning=example.trace,
            final=final,
            problem_type=example.family,
            source=source,
        )
        if kind == "stories":
            made["messages"][1]["content"] = f"{example.trace}\n{final}"
            made["generations"] = [made["messages"][1]["content"]]
        yield made


def problem_rows(
    seed: int, rows: int, part: str = HELD_OUT, kind: str = "arithmetic"
) -> Iterator[dict[str, str]]:
    """Rows of `openr1.PROBLEM_SCHEMA`, all from one part: operands or stories that are held out, or those of training."""
    source = f"distillery-{kind}"
    examples = SOURCES[kind].held_out_examples if part == HELD_OUT else SOURCES[kind].asked_examples
    for number, example in enumerate(examples(seed, rows)):
        yield {
            "uuid": openr1.identifier(source, "held out" if part == HELD_OUT else "asked", seed, number),
            "problem": example.problem,
            "answer": example.answer,
            "problem_type": example.family,
        }
