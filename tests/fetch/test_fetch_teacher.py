"""A teacher's answers, graded and kept: what is asked, what becomes a row of OpenR1's schema, and what the card counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import here

from distillery import schema
from distillery.evaluate import scoring
from distillery.fetch import openr1, rejection_sampling
from distillery.tokenize import handlers, quality_card
from distillery.tokenize.readers import Source

pytestmark = pytest.mark.slow  # each scores answers by a command

GOLDS = {"p0": "7", "p1": r"\frac{1}{2}", "p2": "see solution", "p3": "12", "p4": "40"}
RIGHT = "<think>\nSeven is 7.\n</think>\n\nThe answer is \\boxed{7}."


def problem_set(folder: Path) -> Path:
    rows = [
        {
            "uuid": name,
            "problem": f"What is {name}?",
            "answer": gold,
            "problem_type": f"kind {name in ('p0', 'p1')}",
        }
        for name, gold in GOLDS.items()
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "sums.parquet")
    return folder / "sums.parquet"


def questions(folder: Path, *words: object, code: int = 0) -> tuple[str, list[str], dict[str, Any]]:
    """What was said, the names of the problems that are asked, and the counts."""
    output, counts = folder / "questions.parquet", folder / "questions.json"
    line = ["--problems", problem_set(folder), "--output", output, "--counts", counts]
    done = here("fetch_teacher_questions.py", *line, *words)
    assert done.returncode == code, done.stderr
    if code:
        assert not output.exists() and not counts.exists()
        return done.stderr, [], {}
    return done.stdout, pq.read_table(output)["uuid"].to_pylist(), json.loads(counts.read_text())


def test_problems_without_a_gold_are_not_asked_and_parts_are_neighbours(tmp_path):
    said, names, counts = questions(tmp_path)
    assert names == ["p0", "p1", "p3", "p4"] and "of all 1 have no gold" in said
    assert counts == {"problems": 5, "asked": 4, "part": 4, "unreadable_golds": 1, "beyond_the_budget": 0}
    parts = [questions(tmp_path, "--part", part, "--parts", 3)[1] for part in range(3)]
    assert parts == [["p0"], ["p1"], ["p3", "p4"]]


def test_a_budget_leaves_out_the_sets_end_and_counts_it(tmp_path):
    _, names, counts = questions(tmp_path, "--most", 3)
    assert names == ["p0", "p1", "p3"] and (counts["asked"], counts["beyond_the_budget"]) == (3, 1)


def test_a_part_without_problems_is_an_error(tmp_path):
    said, *_ = questions(tmp_path, "--most", 1, "--parts", 2, code=1)
    assert "a part without a problem to ask" in said and "1 within the budget" in said


def answer(
    name: str, sample: int, text: str, *, tokens: int = 9, stop: str = "eos", **more: Any
) -> dict[str, Any]:
    row = {"id": name, "sample": sample, "prompt": f"What is {name}?", "text": text, "tokens": [1] * tokens}
    return row | {"stop": stop, "seed": sample, "rendered_prompt": f"user: What is {name}?"} | more


ANSWERS = [
    answer("p0", 0, "<think>\nIt is 8.\n</think>\n\nThe answer is \\boxed{8}."),
    answer("p0", 1, RIGHT, tokens=30),
    answer("p0", 2, "<think>\nSeven.\n</think>\n\n\\boxed{7.0}", tokens=12),
    # the prompt has opened the thought; cut at its length
    answer("p1", 0, "Half of 1.\n</think>\n\n\\boxed{0.5}", rendered_prompt="user: What is p1?\n<think>\n"),
    answer("p1", 1, "Half of 1, which is", stop="length", rendered_prompt="user: What is p1?\n<think>\n"),
    answer("p1", 2, "<think>\nHalf.\n</think>\n\n\\boxed{2}"),
    *(answer("p3", sample, f"So it is \\boxed{{{sample}}}.") for sample in range(3)),
    # a foreign server's template has opened it, and its tokens are not known
    *(
        answer("p4", n, f"{'So ' * n}40.\n</think>\n\n\\boxed{{40}}", tokens=0, rendered_prompt="")
        for n in (2, 1, 0)
    ),
]


def shard(
    folder: Path, *words: object, answers: list[dict[str, Any]] | None = None, code: int = 0
) -> tuple[Any, dict[str, Any]]:
    """The rows of the shard with its pass rates; with a `code` what was said instead."""
    questions(folder)
    rows = ANSWERS if answers is None else answers
    (folder / "answers.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    names = {"questions": "questions.parquet", "counts": "questions.json", "answers": "answers.jsonl"}
    names |= {"output": "train-00000-of-00001.parquet", "pass-rates": "rates.json"}
    line = [word for flag, name in names.items() for word in (f"--{flag}", folder / name)]
    done = here("fetch_teacher_shard.py", *line, "--workers", 1, *words)
    assert done.returncode == code, done.stderr
    output = folder / names["output"]
    if code:
        assert not output.exists() and not (folder / "rates.json").exists()
        return done.stderr, {}
    return pq.read_table(output).to_pylist(), json.loads((folder / "rates.json").read_text())


def test_each_right_answer_is_a_row_of_openr1s_schema(tmp_path):
    rows, rates = shard(tmp_path)
    assert pq.read_schema(tmp_path / "train-00000-of-00001.parquet").equals(openr1.SHARD_SCHEMA)
    learnt = [(row["uuid"], row["messages"][1]["content"]) for row in rows]
    assert learnt == [
        ("p0", RIGHT),
        ("p0", "<think>\nSeven.\n</think>\n\n\\boxed{7.0}"),
        ("p1", "<think>\nHalf of 1.\n</think>\n\n\\boxed{0.5}"),
        *(("p4", f"<think>\n{'So ' * n}40.\n</think>\n\n\\boxed{{40}}") for n in (0, 1, 2)),
    ]
    first, second, half = rows[:3]
    assert first["messages"][0] == {"content": "What is p0?", "role": "user"}
    assert (first["problem"], first["answer"], first["problem_type"]) == ("What is p0?", "7", "kind True")
    assert (first["source"], first["solution"]) == ("sums", None)
    # all answers of a problem once, each further row its own
    assert len(first["generations"]) == 3 and first["correctness_math_verify"] == [False, True, True]
    assert first["correctness_count"] == 2 and first["finish_reasons"] == ["stop"] * 3
    assert second["generations"] == [learnt[1][1]] and second["correctness_count"] == 1
    assert half["finish_reasons"] == ["stop", "length", "stop"]
    assert half["is_reasoning_complete"] == [True, False, True]
    assert half["generations"][1] == "<think>\nHalf of 1, which is"
    assert rates["solved"] == {"2/3": 1, "1/3": 1, "0/3": 1, "3/3": 1}
    assert (rates["answers"], rates["right"], rates["rows"], rates["unfinished"]) == (12, 6, 6, 1)
    assert rates["problem_types"]["kind True"] == {"answers": 6, "right": 3}
    assert rates["questions"]["unreadable_golds"] == 1


def test_the_answers_verdicts_are_those_of_scores(tmp_path):
    rows, _ = shard(tmp_path)
    scores = scoring.score(ANSWERS, scoring.read_problems(tmp_path / "questions.parquet"), 1, 10)
    whole = {row["uuid"]: row["correctness_math_verify"] for row in reversed(rows)}
    for name, found in whole.items():
        assert found == [one["strict"] for one in scores if one["id"] == name]


@pytest.mark.parametrize(
    ("keep", "wanted"),
    [
        ("shortest_right", ["Seven.", "Half of 1.", "40."]),
        ("one_right", ["Seven is 7.", "Half of 1.", "40."]),
    ],
)
def test_one_right_answer_of_each_problem(tmp_path, keep, wanted):
    """The one of the fewest tokens, of the fewest letters where they are not known; or the first."""
    rows, _ = shard(tmp_path, "--keep", keep)
    thoughts = [row["messages"][1]["content"].split("\n")[1] for row in rows]
    assert thoughts == wanted and [len(row["generations"]) for row in rows] == [3, 3, 3]


def test_thoughts_can_be_left_out_of_what_is_learnt(tmp_path):
    rows, _ = shard(tmp_path, "--keep", "one_right", "--thoughts", "drop")
    assert [row["messages"][1]["content"] for row in rows] == [
        "The answer is \\boxed{7}.",
        "\\boxed{0.5}",
        "\\boxed{40}",
    ]
    assert rows[0]["generations"][1] == RIGHT


def test_problems_outside_the_pass_rates_are_left_out_and_counted(tmp_path):
    rows, rates = shard(tmp_path, "--at-least", 0.5, "--at-most", 0.9)
    assert {row["uuid"] for row in rows} == {"p0"} and rates["outside_pass_rate"] == 2
    assert sum(rates["solved"].values()) == 4


def test_nothing_to_learn_is_an_error_that_says_why(tmp_path):
    wrong = [one | {"text": "\\boxed{999}"} for one in ANSWERS]
    said, _ = shard(tmp_path, answers=wrong, code=1)
    assert "no answer of this part" in said and "0 of 12 answers right, 1 cut" in said


def test_answers_of_another_part_are_refused(tmp_path):
    said, _ = shard(tmp_path, answers=ANSWERS[:-3], code=1)
    assert "do not belong together" in said


def test_a_shard_is_read_as_any_other(tmp_path):
    """By the default handler, under the default mapping of columns."""
    rows, _ = shard(tmp_path)
    handler = handlers.mapped(*(schema.default(f"datasets.*.{key}") for key in ("handler_name", "map_keys")))
    source = Source(tmp_path / "train-00000-of-00001.parquet")
    read = [handler.convert(row) for block in source.blocks(handler.columns()) for row in block]
    assert [one.messages[-1].content for one in read] == [row["messages"][1]["content"] for row in rows]


def test_the_card_sums_pass_rates_over_shards(tmp_path):
    _, rates = shard(tmp_path)
    card = quality_card.pass_rates([rates, rates])
    assert (card["problems"], card["answers"], card["right"], card["rows"]) == (8, 24, 12, 12)
    assert card["solved"] == {"0/3": 2, "1/3": 2, "2/3": 2, "3/3": 2}
    assert card["problem_types"]["kind True"] == {"answers": 12, "right": 6}


@pytest.mark.parametrize(
    ("text", "thinking", "wanted"),
    [
        ("<think>\na\n</think>b", False, "<think>\na\n</think>b"),
        ("<think>\na\n</think>b", True, "<think>\na\n</think>b"),
        ("\na\n</think>b", False, "<think>\na\n</think>b"),
        ("a, cut", True, "<think>\na, cut"),
        ("no thoughts", False, "no thoughts"),
    ],
)
def test_thoughts_stand_in_both_tags(text, thinking, wanted):
    assert rejection_sampling.with_thoughts(text, thinking) == wanted
