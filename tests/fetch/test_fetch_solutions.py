"""Problems with written solutions, some of them held out, as CHAMP's wheel has them: its entries in config/sources on rows by hand."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import import_problems
import import_solutions
import pyarrow.parquet as pq
import pytest
from lazy import Lazy
from places import SCRIPTS
from wheels import make_wheel

from distillery import catalogue
from distillery.fetch import hold_out, problem_columns, problem_rows
from distillery.fetch.plain_formulas import to_latex
from distillery.launch import commandline

math_verify = Lazy("math_verify")

SHARDS = catalogue.entries()["datasets"]["champ"]["source"]["wheel"]
HELD_OUT = catalogue.entries()["problem_sets"]["champ-heldout"]
MEMBER = SHARDS["files"]
# answers as CHAMP has them, and what they mean
ANSWERS = {
    "239": "239",
    "C(10, 5), or equivalently 252": "252",
    "2^floor(n/2)*floor(n/2)!": r"2^{\lfloor n/2 \rfloor} \cdot \lfloor n/2 \rfloor!",
    "5/14, or approximately 35.7%": r"\frac{5}{14}",
    "C(n+1, 2m+1)": r"\binom{n+1}{2m+1}",
    "n(n+1)*2^(n-2)": "n(n+1)2^{n-2}",
    "C(n, 4), or an equivalent form such as n(n-1)(n-2)(n-3)/4!": r"\frac{n(n-1)(n-2)(n-3)}{24}",
    "sum_(k=1)^n 1/k": r"\sum_{k=1}^{n} \frac{1}{k}",
    "1-1/2^(1/n)": r"1-\frac{1}{2^{1/n}}",
    "sqrt(3)/3, or equivalently 1/sqrt(3)": r"\frac{\sqrt{3}}{3}",
    "100 (i.e., all values)": "100",
    "0 (none of the values)": "0",
    "0 (no such selection is possible)": "0",
    "2 inequalities": "2",
    "98 values": "98",
    "At least 1 number": "1",
    "At most 0 integer-valued zeros (i.e., no integer zeros)": "0",
    "n times": "n",
    "-3 is the only possible value": "-3",
    "The limit exists and is equal to (1+sqrt(4a+1))/2": r"\frac{1+\sqrt{4a+1}}{2}",
    "The only possible value for the limit is sqrt(a)": r"\sqrt{a}",
    "The function is periodic, with a period of 8": "8",
    "376 and 625": r"\{625, 376\}",
    "[-1, 1]": "[-1, 1]",
    "x=6, y=5": "x=6, y=5",
    "2^997": "2^{997}",
    "(x+1)(x-1)(x^2+1)(x^3−x^2+1)(x^2+x+1)": "(x^2-1)(x^2+1)(x^3-x^2+1)(x^2+x+1)",
}
WORDS = [
    "No",
    "Yes",
    "No integer solutions",
    "Exactly one",
    "x(n)<y(n-1) for all n≥3",
    "Infinitely many solutions",
    "The limit does not exist",
    "x(x-1)(x-2)...(x-2022)",
    "x=0, y=2 and x=9, y=11",
    "Yes, and the sequence is 1/2^3, 1/2^6, 1/2^9, ...",
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers_become_formulas_that_math_verify_compares(answer):
    # without its own timers: they are of a clock on the wall, and on a busy machine parse nothing
    gold, right, wrong = (
        math_verify.parse(text, parsing_timeout=None)
        for text in (
            f"${to_latex(answer)}$",
            rf"The answer is \boxed{{{ANSWERS[answer]}}}.",
            r"The answer is \boxed{12345}.",
        )
    )
    assert math_verify.verify(gold, right, timeout_seconds=None)
    assert not math_verify.verify(gold, wrong, timeout_seconds=None)


@pytest.mark.parametrize("answer", WORDS)
def test_answers_in_words_stay_words(answer):
    assert to_latex(answer) is None


def entry(problem: str, answer: str, *steps: str) -> dict:
    return {
        "category": "Number-Theory",
        "_text": problem,
        "_answer": answer,
        "solution": {"steps": [{"_text": step} for step in steps]},
    }


@pytest.fixture
def champ_wheel(tmp_path) -> Path:
    topics = "circle triangle prime square cube lattice graph walk coin die urn card tree path".split()
    entries = {}
    for number, topic in enumerate(topics * 3):
        unlike = " ".join(f"{topic}{number}{word}" for word in ("a", "b", "c", "d"))
        entries[f"P_{number}"] = entry(
            f"How many {unlike} exist?", f"{number} values", f"Count the {unlike}."
        )
    twin = "From the set of the first {} numbers draw pairs whose sum is prime; how many draws are there?"
    for number in range(100, 112):
        entries[f"P_{number}"] = entry(twin.format(number), str(number), "Split by the smaller number.")
    entries["P_words"] = entry("Is there an end?", "No", "There is none.")
    content = json.dumps({"problems": entries}).encode()
    return make_wheel(tmp_path, "champ_dataset", {MEMBER: content})


def rows(wheel: Path) -> list[problem_rows.Row]:
    with problem_rows.opened([wheel], [MEMBER]) as found:
        return list(problem_rows.read(found, "problems", ["_text", "solution.steps._text"]))


def test_rows_are_split_without_overlap_and_variants_stay_together(champ_wheel):
    every, name = rows(champ_wheel), problem_columns.parse({"uuid": "key"})["uuid"]
    trained, held = hold_out.split(every, name, SHARDS["hold_out"])
    assert sorted(row.values["key"] for row in trained + held) == sorted(row.values["key"] for row in every)
    assert len(trained) > 20 and len(held) > 5
    twins = {row.values["key"] for row in every if "draw pairs" in row.values["_text"]}
    sides = [{row.values["key"] for row in part} for part in (trained, held)]
    assert len(twins) == 12 and any(twins <= side for side in sides)
    # the order of the rows decides nothing
    again = hold_out.split(every[::-1], name, SHARDS["hold_out"])
    assert [{row.values["key"] for row in part} for part in again] == sides


# of this wheel's rows as JSON, made by fetch_champ.py before a wheel with a column map could say what it did (commit 197ab94)
FORMER = {
    0: "27d64fd9556c2c50ffcddbde45c13e707866d419c7088ff628c07274f0adcb5c",
    1: "2373bf0100e0d03a02da6bc5324d8c545815cac89ce43394aa768b1be5cd2e08",
    None: "248017dd6cb49e5f468fe032c334d2c91d180455de2c1d8e32c42f6c32907d30",
}


@pytest.mark.parametrize("number", FORMER)
def test_rows_are_those_that_code_for_champ_alone_made(champ_wheel, tmp_path, number):
    output = tmp_path / "made.parquet"
    words = ["--input", champ_wheel, "--files", MEMBER, "--output", output]
    if number is None:
        asked = {key: value for key, value in HELD_OUT.items() if key not in ("wheel", "rows")}
        words += ["--name", "champ-heldout", *commandline.words(asked)]
        import_problems.main(import_problems.parser().parse_args(list(map(str, words))))
    else:
        how = {key: SHARDS[key] for key in ("records", "columns", "hold_out")}
        words += ["--name", "champ", *commandline.words(how), "--shard", number, "--shards", 2]
        import_solutions.main(import_solutions.parser().parse_args(list(map(str, words))))
    made = json.dumps(pq.read_table(output).to_pylist(), sort_keys=True)
    assert hashlib.sha256(made.encode()).hexdigest() == FORMER[number]


@pytest.mark.slow
def test_shards_and_problem_set_of_one_wheel_share_no_problem(champ_wheel, tmp_path):
    def run(command: str, name: str, how: dict, *flags: str) -> subprocess.CompletedProcess:
        words = [
            "--input",
            str(champ_wheel),
            "--files",
            MEMBER,
            "--name",
            name,
            *commandline.words(how),
            *flags,
        ]
        line = [sys.executable, str(SCRIPTS / command), *words]
        return subprocess.run(line, capture_output=True, text=True, timeout=300)

    shard, problems = tmp_path / "train-00000-of-00001.parquet", tmp_path / "problems.parquet"
    how = {key: SHARDS[key] for key in ("records", "columns", "hold_out")}
    done = run("import_solutions.py", "champ", how, "--output", str(shard))
    assert done.returncode == 0, done.stderr
    asked = {key: value for key, value in HELD_OUT.items() if key != "wheel"} | {"rows": 4}
    done = run("import_problems.py", "champ-heldout", asked, "--output", str(problems))
    assert done.returncode == 0 and "4 problems of 1 families" in done.stdout, done.stderr
    made, held = pq.read_table(shard).to_pylist(), pq.read_table(problems).to_pylist()
    words = next(row for row in made if row["answer"] == "No")
    assert (
        words["generations"][0] == "<think>\nThere is none.\n</think>\n\nThe answer is \\boxed{\\text{No}}."
    )
    assert words["correctness_math_verify"] == [False]
    assert {row["problem"] for row in made}.isdisjoint(row["problem"] for row in held)
    assert {row["problem_type"] for row in made + held} == {"Number Theory"}
    assert run("import_solutions.py", "champ", how, "--shard", "1", "--output", str(shard)).returncode == 2
