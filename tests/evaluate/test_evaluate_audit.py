"""A human's look at verdicts, and decisions that later scorings respect and count."""

import json
import subprocess

import pytest
import sweep_files
from commands import here

from distillery import artefacts, digests
from distillery.evaluate import audit, comparison, measures, overrules, scoring
from distillery.fetch import openr1
from distillery.problems import Problem, UsageProblem

GOLDS = ["[1,2]", "AB", "x^2", "70"]
BOXES = [r"1 \le x \le 2", "BA", "x^3", "71"]


def write(folder) -> list[str]:
    rows = [
        {"uuid": f"u{i}", "problem": f"problem {i}", "answer": gold, "problem_type": "t"}
        for i, gold in enumerate(GOLDS)
    ]
    openr1.write(rows, openr1.PROBLEM_SCHEMA, folder / "p.parquet")
    with (folder / "g.jsonl").open("w") as stream:
        for i, box in enumerate(BOXES):
            text = rf"<think>so</think> \boxed{{{box}}}"
            row = {
                "id": f"u{i}",
                "sample": 0,
                "prompt": "p",
                "text": text,
                "tokens": [1, 2],
                "stop": "eos",
                "seed": i,
            }
            stream.write(json.dumps(row) + "\n")
    return [
        "--generations",
        str(folder / "g.jsonl"),
        "--problems",
        str(folder / "p.parquet"),
        "--output",
        str(folder / "s.jsonl"),
    ]


def score(*flags: str) -> subprocess.CompletedProcess:
    return here("score.py", *flags)


@pytest.mark.slow
def test_an_audits_line_overrules_the_next_scoring_and_is_counted(tmp_path):
    flags = write(tmp_path)
    assert score(*flags).returncode == 0
    before = list(scoring.read_jsonl(tmp_path / "s.jsonl", ()))
    text = audit.of({"base": tmp_path / "s.jsonl", "tuned": tmp_path / "s.jsonl"}, tmp_path / "p.parquet")
    assert text.index("== disputed: 1") < text.index("== unlike: 2") and "71" not in text
    assert (
        "u1  wrong by rule: words; math-verify alone: right; base 0, tuned 0" in text and "problem 0" in text
    )
    lines = [
        line.split("overrule ")[1] for line in text.split("\n") if "overrule " in line and "1 \\\\le" in line
    ]
    decision = json.loads(lines[0])
    assert decision == {"id": "u0", "gold": "[1,2]", "answer": r"1 \le x \le 2", "right": True, "why": ""}

    (tmp_path / "o.jsonl").write_text(lines[0] + "\n\n")
    done = score(*flags, "--overrules", str(tmp_path / "o.jsonl"))
    assert done.returncode == 0 and "1 right" in done.stdout and "1 overruled by hand" in done.stdout, (
        done.stderr
    )
    after = list(scoring.read_jsonl(tmp_path / "s.jsonl", ()))
    assert (before[0]["strict"], before[0]["overruled"]) == (False, None)
    assert (after[0]["strict"], after[0]["lenient"], after[0]["overruled"], after[0]["rule"]) == (
        True,
        True,
        False,
        "overruled",
    )
    assert after[1:] == before[1:]
    assert comparison.compare(before, after, 0)["tuned"]["overruled"] == 1
    again = audit.of({"tuned": tmp_path / "s.jsonl"}, tmp_path / "p.parquet")
    assert again.startswith("== overruled: 1") and '"right": false' in again


SPIN = (r"10^{10^{10}} - 10^{10^{10}} + 2", "1")  # an answer that math-verify does not end with, and its gold


@pytest.mark.slow
def test_an_answer_without_verdict_keeps_what_it_says_and_can_be_overruled(tmp_path):
    texts = {"box": rf"so \boxed{{{SPIN[0]}}}", "cut": rf"<think> \boxed{{{SPIN[0]}}}"}
    rows = [
        {"id": name, "sample": 0, "prompt": "", "text": text, "tokens": [1], "stop": "eos"}
        for name, text in texts.items()
    ]
    problems = [{"uuid": name, "answer": SPIN[1]} for name in texts]
    box, cut = scoring.score(rows, problems, workers=2, cpu_seconds=0.3)
    assert (box["timed_out"], box["strict"], box["boxed"], box["answer"]) == (True, False, SPIN[0], SPIN[0])
    assert (cut["timed_out"], cut["boxed"], cut["answer"]) == (True, None, SPIN[0])
    assert measures.vote(box) == SPIN[0]
    for score in (box, cut):
        assert audit.kind(score) == "no verdict"
        line = overrules.line(score)
        assert json.loads(line) == {
            "id": score["id"],
            "gold": "1",
            "answer": SPIN[0],
            "right": True,
            "why": "",
        } | ({} if score is box else {"boxed": False})
        (tmp_path / "o.jsonl").write_text(line)
        overrules.read(tmp_path / "o.jsonl", problems).apply(score)
        assert (score["strict"], score["overruled"], score["rule"]) == (True, False, "overruled")
        assert audit.kind(score) == "overruled"


def test_a_decision_on_an_answer_in_a_box_is_none_on_the_same_outside_of_one(tmp_path):
    problems = [{"uuid": "u0", "answer": "8"}]
    for decision, row in (("true", verdict(boxed=None)), ("false", verdict())):
        line = f'{{"id": "u0", "gold": "8", "answer": "7", "right": true, "boxed": {decision}}}'
        (tmp_path / "o.jsonl").write_text(line)
        overrules.read(tmp_path / "o.jsonl", problems).apply(row)
        assert (row["strict"], row["overruled"]) == (False, None)


@pytest.mark.parametrize(
    "line, message",
    [
        ('{"id": "u9", "gold": "1", "answer": "2", "right": true}', "about a problem that the set has not"),
        ('{"id": "u0", "gold": "[1,3]", "answer": "2", "right": true}', "another gold"),
        ('{"id": "u0", "gold": "[1,2]", "answer": "2"}', "not a decision"),
        ('{"id": "u0", "gold": "[1,2]", "answer": "2", "right": "yes"}', "not a decision"),
        ('{"id": "u0", "gold": "[1,2]", "answer": 2, "right": true}', "not a decision"),
        ('{"id": "u0", "gold": "[1,2]", "answer": "2", "right": true, "boxed": "no"}', "not a decision"),
        ("[]", "another kind"),
        ("{", "not JSON"),
        ('{"id": "u1", "gold": "AB", "answer": "BA", "right": true}', "contradict"),
    ],
)
def test_decisions_that_cannot_hold_end_the_scoring(tmp_path, line, message):
    path = tmp_path / "o.jsonl"
    path.write_text('{"id": "u1", "gold": "AB", "answer": "BA", "right": false}\n' + line + "\n")
    problems = [{"uuid": f"u{i}", "answer": gold} for i, gold in enumerate(GOLDS)]
    with pytest.raises(Problem, match=rf"(?s){message}.*line 2"):
        overrules.read(path, problems)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Problem, match="no such file"):
        overrules.read(tmp_path / "none.jsonl", [])


def verdict(**more) -> dict:
    made = {
        "id": "u0",
        "sample": 0,
        "strict": False,
        "lenient": False,
        "answer": "7",
        "boxed": "7",
        "gold": "8",
        "rule": "number",
    }
    return made | {"math_verify": False, "timed_out": False, "crashed": False, "scorable": True} | more


@pytest.mark.parametrize(
    "more, kind",
    [
        ({}, "sure"),
        ({"strict": True, "math_verify": True}, "sure"),
        ({"overruled": False, "strict": True}, "overruled"),
        ({"math_verify": True}, "disputed"),
        ({"strict": True}, "disputed"),
        ({"timed_out": True}, "no verdict"),
        ({"crashed": True}, "no verdict"),
        ({"lenient": True, "boxed": None}, "only lenient"),
        ({"gold": "x^2"}, "unlike"),
        ({"scorable": False, "gold": None}, "unscorable"),
    ],
)
def test_kinds_of_verdicts(more, kind):
    assert audit.kind(verdict(**more)) == kind


def test_an_answer_outside_of_a_box_is_shown_with_the_end_of_its_text(tmp_path):
    openr1.write(
        [{"uuid": "u0", "problem": "p", "answer": "8", "problem_type": "t"}],
        openr1.PROBLEM_SCHEMA,
        tmp_path / "p.parquet",
    )
    scores = [verdict(boxed=None, answer="8", lenient=True, sample=s) for s in range(2)]
    answers = [{"id": "u0", "sample": s, "text": "word " * 500 + f"so it is 8, says {s}"} for s in range(2)]
    for name, rows in (("s.jsonl", scores), ("g.jsonl", answers)):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = audit.of(
        {"tuned": tmp_path / "s.jsonl"}, tmp_path / "p.parquet", answers={"tuned": tmp_path / "g.jsonl"}
    )
    (line,) = [one for one in text.splitlines() if one.startswith("  text")]
    assert line.endswith("word so it is 8, says 0") and len(line) < 2 * audit.TEXT
    assert '"answer": "8", "boxed": false, "right": true' in text


def test_an_audit_shows_each_answer_once_and_nothing_that_could_move_a_cursor():
    rows = audit.collect(
        {"base": [verdict(sample=s, gold="x", answer="\x1b[2J7") for s in range(3)]}, everything=True
    )
    assert [row["given"] for row in rows["unlike"]] == [["base 0", "base 1", "base 2"]]
    text = audit.show(rows, {"u0": "a\nb\x07"}, limit=5)
    assert "\x1b" not in text and "\x07" not in text and "a b" in text
    assert "the first 1" in audit.show({"unlike": [*rows["unlike"], verdict(given=[], id="v")]}, {}, limit=1)


def test_the_command_lists_both_models_of_an_experiment_and_says_where_decisions_belong(tmp_path):
    sweep_files.write(tmp_path)
    scores = tmp_path / artefacts.TUNED_SCORES.at(experiment="small-seed2")
    rows = [json.loads(line) for line in scores.read_text().splitlines()]
    rows[1] |= {"strict": False, "lenient": True, "boxed": None, "math_verify": None}
    digests.write_text(scores, "".join(json.dumps(row) + "\n" for row in rows))
    done = here("evaluate_audit.py", "--configfile", "c.yaml", "--experiment", "small-seed2", cwd=tmp_path)
    assert done.returncode == 0 and "== only lenient: 1" in done.stdout, done.stderr
    assert "; tuned 0\n" in done.stdout and "config/overrules/sums-heldout.jsonl" in done.stdout
    assert "  text     … " in done.stdout and "The answer is \\boxed{" in done.stdout
    done = here("evaluate_audit.py", "--configfile", "c.yaml", "--experiment", "other", cwd=tmp_path)
    assert done.returncode == UsageProblem.exit_code and "small-seed1, small-seed2" in done.stderr
