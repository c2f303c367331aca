"""Scores of a generations file: each answer against its problem, strict and lenient, with all that led to the verdict."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from distillery import digests, json_files, json_shapes, parquet_files, progress, whole_text
from distillery.evaluate import extraction, golds, overrules
from distillery.evaluate.judge import Question, judge
from distillery.problems import Problem, located
from distillery.provenance import digest

KEYS = ("id", "sample")  # of each answer and each score
ODD = {"timed_out": "out of time", "crashed": "crashed"}
GROUPS = (
    "problem_type",
    "source",
    "level",
)  # a problem's columns by which results are told apart, as far as it has them


def score_file(
    generations: Path,
    problems: Path,
    output: Path,
    workers: int,
    cpu_seconds: float,
    plain: bool = False,
    decisions: Path | None = None,
) -> list[dict[str, Any]]:
    """Score a file of generations against a problem set and write the scores as JSON lines; returns them.

    Args:
        decisions: a human's, see `overrules`.

    Raises:
        Problem: see `score`, `read_jsonl`, `read_problems` and `overrules.read`.
    """
    rows = read_jsonl(generations, ("id", "sample", "prompt", "text", "tokens", "stop"))
    known = read_problems(problems)
    decided = overrules.read(decisions, known)
    with located(f"{generations}, {problems}"):
        scores = score(rows, known, workers, cpu_seconds, plain)
    for row in scores:
        decided.apply(row)
    digests.write_text(output, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in scores))
    return scores


def counts(scores: list[dict[str, Any]]) -> str:
    """One line that counts the answers by verdict; whatever is neither right nor wrong is named if there is any."""
    found = Counter(key for row in scores for key in ("strict", "lenient", *ODD) if row[key])
    unscorable = sorted({row["id"] for row in scores if not row["scorable"]})
    parts = [f"{len(scores)} answers, {found['strict']} right (lenient {found['lenient']})"]
    parts += [f"{found[key]} {ODD[key]}" for key in ODD if found[key]]
    if overruled := sum(row["overruled"] is not None for row in scores):
        parts.append(f"{overruled} overruled by hand")
    if unscorable:
        parts.append(
            f"{len(unscorable)} problems unscorable and left out: their golds cannot be read ({', '.join(unscorable[:5])})"
        )
    return ", ".join(parts)


def score(
    generations: Iterable[dict[str, Any]],
    problems: list[dict[str, Any]],
    workers: int,
    cpu_seconds: float,
    plain: bool = False,
) -> list[dict[str, Any]]:
    """One score for each generation, in the order of the problems, then of the samples.

    A problem whose gold cannot be read stops nothing: its scores say `scorable: false`, and count neither as right nor as
    wrong.

    Args:
        generations: rows as inference.py writes them; read one by one, their texts are not kept.
        problems: uuid, answer (text, a number, a list), and any of `GROUPS`.
        plain: math-verify alone decides, without our rules.

    Raises:
        Problem: two problems of one uuid, a generation without its problem or the reverse.
    """
    order = _order(problems)
    unscorable = golds.unreadable(problem["answer"] for problem in problems)
    scores: list[dict[str, Any]] = []
    asked: list[int] = []  # the score of each question

    def questions() -> Iterator[Question]:
        for row in generations:
            if row["id"] not in order:
                raise _mismatch({row["id"]}, set())
            number = order[row["id"]]
            thinking = extraction.opens_thinking(row.get("rendered_prompt", row["prompt"]))
            scores.append(_unjudged(row, problems[number], number not in unscorable, thinking))
            if number not in unscorable:
                asked.append(len(scores) - 1)
                yield Question(scores[-1]["gold"], row["text"], row["stop"], thinking, row["id"])

    progress.begin("answers")
    for judged, (number, verdict) in enumerate(judge(questions(), workers, cpu_seconds, plain), 1):
        progress.reached(judged)
        scores[asked[number]] |= {
            "strict": verdict.strict,
            "lenient": verdict.lenient,
            "answer": verdict.found if verdict.boxed is None else verdict.boxed,
            "timed_out": verdict.timed_out,
            "crashed": verdict.crashed,
            "boxed": verdict.boxed,
            "found": verdict.found,
            "rule": verdict.rule,
            "math_verify": verdict.math_verify,
        }
    if missing := set(order) - {score["id"] for score in scores}:
        raise _mismatch(set(), missing)
    return sorted(scores, key=lambda score: (order[score["id"]], score["sample"]))


def _unjudged(row: dict[str, Any], problem: dict[str, Any], scorable: bool, thinking: bool) -> dict[str, Any]:
    return {
        "id": row["id"],
        "sample": row["sample"],
        "problem_type": problem.get("problem_type") or "all",
        **{name: problem[name] for name in GROUPS[1:] if problem.get(name) is not None},
        "strict": False,
        "lenient": False,
        "answer": None,
        "stop": row["stop"],
        "tokens": len(row["tokens"]),
        "unfinished_think": extraction.unfinished(row["text"], thinking),
        "timed_out": False,
        "crashed": False,
        "scorable": scorable,
        "gold": golds.read(problem["answer"]) if scorable else None,
        "boxed": None,
        "found": None,
        "rule": "no answer" if scorable else "unscorable",
        "math_verify": None,
        "seed": row.get("seed"),
        "prompt": digest(row.get("rendered_prompt", row["prompt"]))[:16],
        **({"weights": row["weights"]} if "weights" in row else {}),
    }


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


def read_problems(path: Path) -> list[dict[str, Any]]:
    """Rows of a problem set.

    Raises:
        Problem: no such file, not a parquet file, or one without uuid and answer.
    """
    if not path.is_file():
        raise Problem("no such problem set", where=path, fix="run the step that makes it first")
    digests.check_file(path)
    with closing(parquet_files.Table(path)) as table:
        names = table.names
    if missing := {"uuid", "answer"} - set(names):
        raise Problem(
            "not a problem set",
            where=path,
            found=", ".join(names),
            wanted=f"the columns {', '.join(sorted(missing))}",
            fix="make it with import_problems.py",
        )
    return parquet_files.rows(path)


def read_jsonl(path: Path, keys: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Answers (with "text" among `keys`) or scores of a file one by one, each with at least `keys`, no (id, sample) twice.

    Raises:
        Problem: names the line that is no object, lacks a key, repeats one or has a value of another type; after the last
            line, bytes that are not those that were written.
    """
    if not path.is_file():
        raise Problem("no such file", where=path, fix="run the step that makes it first")
    seen: dict[tuple[Any, Any], int] = {}
    shape = json_shapes.ANSWER if "text" in keys else json_shapes.SCORE
    for number, line in enumerate(digests.lines(path), 1):
        where = f"{path}, line {number}"
        try:
            row = json_files.loads(line)
            json_files.fit(row, shape, where)
        except (ValueError, Problem) as error:
            digests.check_file(path)  # says more
            if isinstance(error, Problem):
                raise
            raise Problem("not a JSON object", where=where, found=error) from None
        if whole_text.ESCAPED.search(line):
            whole_text.check_value(row, where)
        if absent := [key for key in (*KEYS, *keys) if key not in row]:
            raise Problem("a key is missing", where=where, wanted=", ".join(absent))
        first = seen.setdefault((row["id"], row["sample"]), number)
        if first != number:
            raise Problem(
                "the same sample twice", where=f"{path}, lines {first} and {number}", found=row["id"]
            )
        yield row
