"""The seeded generator as a dataset source: arithmetic examples as OpenR1 rows and as a problem set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from distillery.fetch import openr1
from distillery.fetch.arithmetic import held_out_examples, training_examples

SOURCE = "distillery-arithmetic"


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


def problem_rows(seed: int, rows: int) -> Iterator[dict[str, str]]:
    """Rows of `openr1.PROBLEM_SCHEMA`, all from the held-out part of the key space."""
    for number, example in enumerate(held_out_examples(seed, rows)):
        yield {
            "uuid": openr1.identifier(SOURCE, "held out", seed, number),
            "problem": example.problem,
            "answer": example.answer,
            "problem_type": example.family,
        }
