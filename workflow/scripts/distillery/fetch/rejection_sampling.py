"""A teacher's answers, graded, as a shard of those that are right: rejection sampling, in OpenR1-Math-220k's schema.

Graded as scores are: the last box behind closed thoughts of a finished answer, by our rules and math-verify. A problem's
pass rate is the share of right ones among its answers. Its first row holds all of them in `generations`, each further one
its own alone: repeated, they would make a file that unpacks to many times its size.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

from distillery import digests
from distillery.evaluate import extraction, scoring
from distillery.fetch import openr1
from distillery.marks import END_THINK, THINK
from distillery.problems import Problem

ALL, SHORTEST, ONE = "all_right", "shortest_right", "one_right"
JOIN = "join"
Answer = dict[str, Any]


def run(args: argparse.Namespace) -> str:
    """Write the shard that fetch_teacher_shard.py's flags ask for, and its pass rates; says what they hold.

    Raises:
        Problem: answers that are not those to these questions, or not as they were written; or none that is kept.
    """
    problems = scoring.read_problems(args.questions)
    answers = list(scoring.read_jsonl(args.answers, ("id", "sample", "prompt", "text", "tokens", "stop")))
    scores = scoring.score(answers, problems, args.workers, args.cpu_seconds)
    texts = {(one["id"], one["sample"]): one for one in answers}
    graded = [_graded(texts[score["id"], score["sample"]], score) for score in scores]
    of = {uuid: list(found) for uuid, found in itertools.groupby(graded, itemgetter("id"))}
    rows, solved, outside = [], Counter(), 0
    for problem in problems:
        found = of[problem["uuid"]]
        right = sum(one["right"] for one in found)
        solved[f"{right}/{len(found)}"] += 1
        if not args.at_least <= right / len(found) <= args.at_most:
            outside += right > 0
            continue
        rows += _rows(problem, found, args.keep, args.thoughts)
    if not rows:
        raise _nothing(args, graded, outside)
    openr1.write(rows, openr1.SHARD_SCHEMA, args.output)
    counts = {
        "questions": digests.read_json(args.counts),
        "problems": len(problems),
        "answers": len(graded),
        "right": sum(one["right"] for one in graded),
        "unfinished": sum(one["finish"] != "stop" for one in graded),
        "tokens": sum(one["tokens"] for one in graded),
        "solved": dict(solved),
        "outside_pass_rate": outside,
        "rows": len(rows),
        "problem_types": {
            kind: {"answers": len(ours), "right": sum(one["right"] for one in ours)}
            for kind, ours in sorted(_by_type(problems, of).items())
        },
    }
    digests.write_json(args.pass_rates, counts)
    return (
        f"{len(rows)} rows of {len(problems)} problems: {counts['right']} of {len(graded)} answers right, "
        f"{sum(count for share, count in solved.items() if share.startswith('0/'))} problems never, {outside} outside the pass rates"
    )


def _graded(answer: Answer, score: Answer) -> Answer:
    """An answer with what the judge says of it."""
    text = with_thoughts(answer["text"], extraction.opens_thinking(answer.get("rendered_prompt", "")))
    return {
        "id": answer["id"],
        "text": text,
        "complete": not score["unfinished_think"],
        "right": score["strict"],
        "finish": "length" if answer["stop"] == "length" else "stop",
        # a server whose tokenizer is its own says how many they were, or nothing
        "tokens": len(answer["tokens"]) or answer.get("completion_tokens") or 0,
    }


def with_thoughts(text: str, thinking: bool) -> str:
    """An answer whose thoughts stand in both tags: a prompt, or a server's template, may have opened them."""
    thoughts, closed, _ = text.partition(END_THINK)
    opened_before = (thinking or closed) and THINK not in thoughts
    return f"{THINK}\n{text.lstrip()}" if opened_before else text


def _rows(problem: Answer, answers: Sequence[Answer], keep: str, thoughts: str) -> Iterator[dict[str, Any]]:
    right = [one for one in answers if one["right"]]
    if keep == SHORTEST:
        right.sort(key=lambda one: (one["tokens"], len(one["text"])))
    chosen = right if keep == ALL else right[:1]
    for number, one in enumerate(chosen):
        text = one["text"]
        message = text if thoughts == JOIN else text.rpartition(END_THINK)[2].strip()
        yield openr1.sampled_row(problem, [one] if number else answers, message)


def _nothing(args: argparse.Namespace, graded: Sequence[Answer], outside: int) -> Problem:
    right = sum(one["right"] for one in graded)
    cut = sum(one["finish"] == "length" for one in graded)
    return Problem(
        "no answer of this part of the problems can be learnt",
        where=args.answers,
        found=f"{right} of {len(graded)} answers right, {cut} cut at their length; {outside} problems outside the pass rates",
        wanted="at least one right answer to a problem within them",
        fix="allow more new tokens, wider pass rates or fewer shards, or ask a better teacher",
    )


def _by_type(problems: Sequence[Answer], of: dict[str, list[Answer]]) -> dict[str, list[Answer]]:
    found: dict[str, list[Answer]] = {}
    for problem in problems:
        found.setdefault(problem["problem_type"], []).extend(of[problem["uuid"]])
    return found
