"""Scores of a generations file: each answer against its problem, strict and lenient."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from distillery.evaluate import extraction
from distillery.evaluate.judge import Question, judge
from distillery.problems import Problem


def score(
    generations: list[dict[str, Any]], problems: list[dict[str, str]], workers: int, cpu_seconds: float
) -> list[dict[str, Any]]:
    """One score for each generation, in the order of the problems, then of the samples.

    Raises:
        Problem: a generation without its problem or the reverse, or a gold answer that cannot be read.
    """
    order = {problem["uuid"]: number for number, problem in enumerate(problems)}
    _check_pairs([row["id"] for row in generations], list(order))
    generations = sorted(generations, key=lambda row: (order[row["id"]], row["sample"]))
    readings = [extraction.read(row["prompt"], row["text"], row["stop"]) for row in generations]
    gold = {problem["uuid"]: problem for problem in problems}
    questions = [
        Question(gold[row["id"]]["answer"], reading.boxed, reading.text)
        for row, reading in zip(generations, readings, strict=True)
    ]
    scores = []
    for row, reading, verdict in zip(
        generations, readings, judge(questions, workers, cpu_seconds), strict=True
    ):
        if not verdict.gold_is_readable:
            raise Problem(
                "math-verify finds no answer in a gold answer",
                where=f"problem {row['id']}",
                found=repr(gold[row["id"]]["answer"]),
                wanted="a number, an expression, a set or an equation in LaTeX",
                fix="mend or remove the row in the problem set",
            )
        scores.append(
            {
                "id": row["id"],
                "sample": row["sample"],
                "problem_type": gold[row["id"]]["problem_type"],
                "strict": verdict.strict,
                "lenient": verdict.lenient,
                "answer": verdict.extracted,
                "stop": row["stop"],
                "tokens": len(row["tokens"]),
                "unfinished_think": reading.unfinished_think,
                "timed_out": verdict.timed_out,
            }
        )
    return scores


def _check_pairs(generated: list[str], wanted: list[str]) -> None:
    unknown, missing = sorted(set(generated) - set(wanted)), sorted(set(wanted) - set(generated))
    if unknown or missing:
        raise Problem(
            "generations and problems do not belong together",
            found=f"{len(unknown)} generations of unknown problems {unknown[:3]}, "
            f"{len(missing)} problems without generation {missing[:3]}",
            wanted="every problem of the set generated for, and no other",
            fix="generate again from this problem set",
        )


def read_jsonl(path: Path, keys: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows of a JSON-lines file, each with at least `keys`, no (id, sample) twice.

    Raises:
        Problem: names the line that is no object, lacks a key or repeats one.
    """
    if not path.is_file():
        raise Problem("no such file", where=path, fix="run the step that makes it first")
    rows: list[dict[str, Any]] = []
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
            rows.append(row)
    return rows
