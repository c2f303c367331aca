"""Scores: the traps of math-verify, strict reading, hostile answers, and files that do not belong together."""

import json
import subprocess
import time
from pathlib import Path

import commands
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery.evaluate import extraction, scoring
from distillery.evaluate.judge import Question, Verdict, judge, verify
from distillery.fetch import openr1
from distillery.problems import Problem

THINK = "<think>\nso it is 5\n</think>\n\n"


@pytest.mark.parametrize(
    "text, stop, boxed",
    [
        (THINK + r"The answer is \boxed{70}.", "eos", "70"),
        (THINK + "no box at all, 70", "eos", None),
        (r"<think> \boxed{70} and still thinking", "eos", None),
        (r"<think> \boxed{3} </think> so none", "eos", None),
        (THINK + r"\boxed{70}", "length", None),
        (r"never a thought, \boxed{70}", "eos", "70"),
        (THINK + r"\boxed{7} <think> wait", "eos", None),
        (THINK + r"first \boxed{3}. Then \boxed{4}", "eos", "4"),
        (THINK + r"\boxed{3}, \boxed{4} and $\boxed{5}$", "eos", "3, 4, 5"),
        (THINK + r"\boxed{} final answer is $7$", "eos", None),
        (THINK + r"\boxed{7} \boxed{", "eos", "7"),
        (THINK + r"\boxed{\frac{1}{2}} done", "eos", r"\frac{1}{2}"),
        (THINK + r"\boxed{\{1, 2\}}", "eos", r"\{1, 2\}"),
        (THINK + r"\boxed{12", "eos", None),
    ],
)
def test_the_strict_answer_is_the_last_box_after_the_thinking(text, stop, boxed):
    assert extraction.read(text, stop).boxed == boxed


def test_thinking_may_begin_in_the_prompt():
    assert extraction.opens_thinking("assistant\n<think>\n") and not extraction.opens_thinking("<think> no")
    assert extraction.unfinished(r"so \boxed{5}", thinking=True)
    assert extraction.read(r"so \boxed{5}", "eos", thinking=True).boxed is None
    assert extraction.read("so 5 </think> \\boxed{5}", "eos", thinking=True).boxed == "5"


@given(st.text(alphabet="\\boxed{}<think>/ 1,", max_size=60))
def test_any_text_can_be_read(text):
    reading = extraction.read(text, "eos")
    assert reading.boxed is None or reading.boxed.replace(", ", "") != ""
    extraction.read(text + r"</think>\boxed{1}", "eos")


@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{" * 200_000,
        r"\boxed{" * 100_000 + "}" * 100_000,
        r"\boxed{1}, " * 100_000,
        r"\boxed " * 100_000,
        (r"\boxed{1}" + " " * 80) * 20_000,
        "\\boxed" + " " * 1_000_000,
    ],
    ids=["open", "nested", "joined", "bare", "far", "blank"],
)
def test_boxes_are_found_in_one_pass(text):
    """20,000 that are never closed once took 54 seconds."""
    started = time.process_time()
    extraction.last_box(text)
    assert time.process_time() - started < 3


# gold, box, equal: the table of traps, each seen with math-verify 0.9
PAIRS = [
    ("33", "033", True),
    (r"\frac{1}{2}", "0.5", True),
    (r"\frac{\sqrt3}{3}", r"\frac{1}{\sqrt3}", True),  # False when the gold is not wrapped in dollars
    ("376, 625", r"625 \text{ and } 376", True),
    ("376, 625", "625, 376", True),
    ("1234", "1,234", True),
    ("70", "71", False),
    ("No", r"\text{No}", True),
    ("(1,2)", "1<x<2", False),
    ("x=6, y=5", "y=5, x=6", True),
    ("carol", "carol", True),
]


def boxed(gold: str, box: str) -> Question:
    return Question(gold, rf"\boxed{{{box}}}")


def judged(questions: list[Question], **limits) -> list[Verdict]:
    return [verdict for _, verdict in sorted(judge(questions, **limits), key=lambda pair: pair[0])]


@pytest.mark.parametrize("gold, box, equal", PAIRS)
def test_the_box_is_compared_by_math_verify(gold, box, equal):
    assert verify(boxed(gold, box)).strict is equal


def test_lenient_takes_a_bare_number_and_strict_does_not():
    assert verify(Question("70", "no box at all, 70")) == Verdict(lenient=True, found="70")
    assert verify(Question("70", "70 ... but 12")) == Verdict(found="12")


@pytest.mark.slow
def test_an_endless_answer_ends_its_process_and_no_other_answer():
    tower = "9^{9^{9^{9}}}"
    questions = [boxed("5", str(n)) for n in (4, 5)]
    questions[1:1] = [boxed(f"{tower} + 1", tower), boxed("1", "10^{10^{10}} - 10^{10^{10}} + 1")]
    started = time.process_time()
    verdicts = judged(questions, workers=2, cpu_seconds=2.0)
    assert time.process_time() - started < 2  # the parent waits without spinning
    assert [verdict.strict for verdict in (verdicts[0], verdicts[-1])] == [False, True]
    assert not verdicts[0].timed_out and not verdicts[-1].timed_out
    assert any(verdict.timed_out for verdict in verdicts[1:3])


@pytest.mark.slow
def test_workers_do_not_change_verdicts():
    questions = [boxed(gold, box) for gold, box, _ in PAIRS] * 2
    assert judged(questions, workers=1) == judged(questions, workers=3)


def write(folder: Path, texts: list[str], **changed) -> list[str]:
    problems = [
        {"uuid": f"u{i}", "problem": f"p{i}", "answer": "70", "problem_type": "product"}
        for i in range(len(texts))
    ]
    problems[0] |= changed.get("first_problem", {})
    openr1.write(problems, openr1.PROBLEM_SCHEMA, folder / "p.parquet")
    with (folder / "g.jsonl").open("w") as stream:
        for i, text in reversed(list(enumerate(texts))):
            row = {
                "id": f"u{i}",
                "sample": 0,
                "prompt": "",
                "text": text,
                "tokens": [1] * (i + 1),
                "stop": "eos",
                "seed": 0,
            }
            stream.write(json.dumps(row | changed.get("generation", {})) + "\n")
    return [
        "--generations",
        str(folder / "g.jsonl"),
        "--problems",
        str(folder / "p.parquet"),
        "--output",
        str(folder / "s.jsonl"),
    ]


def score(flags: list[str]) -> subprocess.CompletedProcess:
    return commands.here("score.py", *flags)


@pytest.mark.slow
def test_score_command_writes_one_row_for_each_problem_in_their_order(tmp_path):
    flags = write(tmp_path, [THINK + r"\boxed{70}", "70", "<think> 70"])
    done = score(flags)
    assert done.returncode == 0, done.stderr
    rows = list(scoring.read_jsonl(tmp_path / "s.jsonl", ()))
    assert [(r["id"], r["strict"], r["lenient"], r["unfinished_think"], r["tokens"]) for r in rows] == [
        ("u0", True, True, False, 1),
        ("u1", False, True, False, 2),
        ("u2", False, True, True, 3),
    ]
    first = (tmp_path / "s.jsonl").read_bytes()
    assert score([*flags, "--workers", "1"]).returncode == 0
    assert (tmp_path / "s.jsonl").read_bytes() == first


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"generation": {"id": "u0"}}, "the same sample twice"),
        ({"generation": {"id": "other"}}, "do not belong together"),
        ({"first_problem": {"uuid": "else"}}, "do not belong together"),
        ({"first_problem": {"uuid": "u1"}}, "two problems have one uuid"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(tmp_path, changed, message):
    done = score(write(tmp_path, ["70", "70"], **changed))
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "s.jsonl").exists()


def test_a_gold_that_cannot_be_read_stops_nothing_and_counts_nowhere(tmp_path):
    done = score(write(tmp_path, [THINK + r"\boxed{70}"] * 3, first_problem={"answer": ""}))
    assert done.returncode == 0, done.stderr
    assert (
        "2 right" in done.stdout
        and "1 problems unscorable and left out" in done.stdout
        and "u0" in done.stdout
    )
    rows = list(scoring.read_jsonl(tmp_path / "s.jsonl", ()))
    assert [(row["scorable"], row["strict"], row["rule"]) for row in rows] == [
        (False, False, "unscorable"),
        (True, True, "same text"),
        (True, True, "same text"),
    ]


@pytest.mark.slow
def test_scores_say_all_that_led_to_the_verdict(tmp_path):
    texts = [THINK + r"\boxed{BA}", r"\boxed{7}"]
    flags = write(
        tmp_path,
        texts,
        first_problem={"answer": "AB"},
        generation={"rendered_prompt": "<user>1+1?\n<think>\n"},
    )
    assert score(flags).returncode == 0
    first, second = scoring.read_jsonl(tmp_path / "s.jsonl", ())
    wanted = {
        "gold": "AB",
        "answer": "BA",
        "boxed": "BA",
        "found": "BA",
        "rule": "words",
        "math_verify": True,
    }
    assert first.items() >= (wanted | {"strict": False, "lenient": False}).items()
    # the template had opened the thought, which the second never closed
    assert second["unfinished_think"] and (second["boxed"], second["found"], second["rule"]) == (
        None,
        "7",
        "no answer",
    )
    assert score([*flags, "--plain-math-verify"]).returncode == 0
    first, _ = scoring.read_jsonl(tmp_path / "s.jsonl", ())
    assert (first["strict"], first["rule"]) == (True, "math-verify")


def test_a_broken_line_is_named(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"id": "1", "sample": 0}\n{"id"\n')
    with pytest.raises(Problem, match="line 2"):
        list(scoring.read_jsonl(tmp_path / "x.jsonl", ("id",)))
