"""Scores of a generations file: each answer against its problem, strict and lenient."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from distillery.evaluate import extraction
from distillery.evaluate.judge import Question, judge
from distillery.problems import Problem


def score(
    generations: Iterable[dict[str, Any]], problems: list[dict[str, str]], workers: int, cpu_seconds: float
) -> list[dict[str, Any]]:
    """One score for each generation, in the order of the problems, then of the samples.

    Args:
        generations: rows as inference.py writes them; read one by one, their texts are not kept.

    Raises:
        Problem: two problems of one uuid, a generation without its problem or the reverse, or a gold answer that cannot
            be read.
    """
    order = _order(problems)
    scores: list[dict[str, Any]] = []

    def questions() -> Iterator[Question]:
        for row in generations:
            if row["id"] not in order:
                raise _mismatch({row["id"]}, set())
            problem = problems[order[row["id"]]]
            thinking = extraction.opens_thinking(row["prompt"])
            scores.append(
                {
                    "id": row["id"],
                    "sample": row["sample"],
                    "problem_type": problem["problem_type"],
                    **dict.fromkeys(("strict", "lenient", "answer")),  # the verdict's
                    "stop": row["stop"],
                    "tokens": len(row["tokens"]),
                    "unfinished_think": extraction.unfinished(row["text"], thinking),
                }
            )
            yield Question(problem["answer"], row["text"], row["stop"], thinking, row["id"])

    for number, verdict in judge(questions(), workers, cpu_seconds):
        score = scores[number]
        if not verdict.gold_is_readable:
            raise Problem(
                "math-verify finds no answer in a gold answer",
                where=f"problem {score['id']}",
                found=repr(problems[order[score["id"]]]["answer"]),
                wanted="a number, an expression, a set or an equation in LaTeX",
                fix="mend or remove the row in the problem set",
            )
        score |= {
            "strict": verdict.strict,
            "lenient": verdict.lenient,
            "answer": verdict.extracted,
            "timed_out": verdict.timed_out,
            "crashed": verdict.crashed,
        }
    if missing := set(order) - {score["id"] for score in scores}:
        raise _mismatch(set(), missing)
    return sorted(scores, key=lambda score: (order[score["id"]], score["sample"]))


def _order(problems: list[dict[str, str]]) -> dict[str, int]:
    order: dict[str, int] = {}
    for number, problem in enumerate(problems):
        first = order.setdefault(problem["uuid"], number)
        if first != number:
            raise Problem(
                "two problems have one uuid",
                where=f"the problem set, rows {first} and {number}",
                found=problem["uuid"],
                wanted="a uuid for each problem: answers are matched with their problems by it",
                fix="remove one of them, or let the import make uuids: name no column for uuid",
            )
    return order


def _mismatch(unknown: set[str], missing: set[str]) -> Problem:
    return Problem(
        "generations and problems do not belong together",
        found=f"generations of unknown problems {sorted(unknown)}"
        if unknown
        else f"{len(missing)} problems without generation {sorted(missing)[:3]}",
        wanted="every problem of the set generated for, and no other",
        fix="generate again from this problem set",
    )


def read_jsonl(path: Path, keys: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Rows of a JSON-lines file one by one, each with at least `keys`, no (id, sample) twice.

    Raises:
        Problem: names the line that is no object, lacks a key or repeats one.
    """
    if not path.is_file():
        raise Problem("no such file", where=path, fix="run the step that makes it first")
    seen: dict[tuple[Any, Any], int] = {}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                absent = [key for key in keys if key not in row]
            except (json.JSONDecodeError, TypeError) as error:
                raise Problem("not a JSON object", where=f"{path}, line {number}", found=error) from None
            if absent:
                raise Problem("a key is missing", where=f"{path}, line {number}", wanted=", ".join(absent))
            first = seen.setdefault((row["id"], row["sample"]), number)
            if first != number:
                raise Problem(
                    "the same sample twice", where=f"{path}, lines {first} and {number}", found=row["id"]
                )
            yield row
