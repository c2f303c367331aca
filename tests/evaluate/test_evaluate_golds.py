"""Golds as problem sets give them: typed, within texts, or none; and whether a set is right against itself."""

import json
import math
import subprocess
from decimal import Decimal
from fractions import Fraction

import commands
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.evaluate import golds, self_check


@pytest.mark.parametrize(
    "value, text",
    [
        (5, "5"),
        (27.0, "27"),
        (1e-05, "0.00001"),
        (0.1, "0.1"),
        (4.5e33, "45" + "0" * 32),
        (-2.50, "-2.5"),
        (Decimal("1.500"), "1.5"),
        (Fraction(1, 3), "1/3"),
        (np.int64(7), "7"),
        (np.float32(0.5), "0.5"),
        (np.str_("x"), "x"),
        ([5], "5"),
        (["2", "5"], "2, 5"),
        ([1.0, 2.5], "1, 2.5"),
        (["$\\frac{1}{2}$"], "$\\frac{1}{2}$"),
        (["2,900", "5"], "2900, 5"),
        ([[1, 2], [3, 4]], "(1, 2), (3, 4)"),
        (np.array([1, 2]), "1, 2"),
        ((3, 4), "3, 4"),
        (" 18 ", "18"),
        ("She has 16 - 3 = <<16-3=13>>13.\n#### 13", "13"),
        ("#### 2,125", "2,125"),
        (r"So $\theta = \boxed{1.6}$ arcseconds.", "1.6"),
        (r"\boxed{1} apples and \boxed{2} pears", "1, 2"),
        ("0", "0"),
        (0, "0"),
        (r"\emptyset", r"\emptyset"),
        (r"\$36", r"\$36"),
        ("不存在", "不存在"),
        ("\\{1, 2\\}", "\\{1, 2\\}"),
    ],
)
def test_typed_golds_are_read(value, text):
    assert golds.read(value) == text


UNREADABLE = {
    "nothing": [None, [None], ["1", None]],
    "NaN": [math.nan, np.float64("nan")],
    "NaN or infinite": [math.inf],
    "an object": [{}, {"a": "5"}],
    "a truth value": [True],
    "no answer": ["", "  ", "$$", "$ , $", "#### "],
    "an empty list": [[]],
    "a word for no answer": ["None", "nan", "见解析", "____"],
    "braces": [r"\frac{1}{2", r"1}{2", r"\boxed{12"],
    "a object": [object()],
}


@pytest.mark.parametrize("value, why", [(one, why) for why, values in UNREADABLE.items() for one in values])
def test_what_holds_no_answer_is_said(value, why):
    with pytest.raises(golds.Unreadable, match=why):
        golds.read(value)


def test_all_unreadable_rows_are_listed():
    assert golds.unreadable(["1", None, "2", math.nan]) == {1: "nothing", 3: "NaN or infinite"}


@given(st.one_of(st.integers(-(10**12), 10**12), st.floats(allow_nan=False, allow_infinity=False, width=32)))
@settings(deadline=None, max_examples=60)
def test_numbers_keep_their_value(value):
    text = golds.read(value)
    assert float(text) == float(value) and "e" not in text
    assert golds.read(text) == text


# one of each shape that public sets have, made up
SHAPES = [
    "204",
    27.0,
    145.0,
    ["2"],
    ["$\\frac{1}{2 n+2}$"],
    ["$(1,8,19), (2,7,13), (4,5,7)$"],
    ["1,3,5"],
    "9 (apples)",
    "Mr. Hill",
    "12 (inches of snow)",
    "3:30 p.m.",
    "5:45",
    "6th",
    "The 60th caller",
    "Yes",
    "A",
    "C. {x \\mid-3<x<4}",
    "（B）",
    "（A）$\\frac{\\sqrt{\\pi}}{2}$",
    "ACD",
    "(1)(3)(4)",
    "$\\textcircled{1}\\textcircled{3}$",
    "$5$;$10$",
    "1;$\\frac{8}{9}$",
    r"\left( 3, \frac{\pi}{2} \right)",
    "p - q",
    r"90^\circ",
    r"11\sqrt2",
    r"52_8",
    r"4210_{5}",
    r"\$32,\!348",
    r"\$18.90",
    r"11,\! 111,\! 111,\! 100",
    r"\frac{270}7\text{ degrees}",
    r"\frac 59",
    r".0000672",
    r"\text{(C)}",
    r"864 \mbox{ inches}^2",
    r"\begin{pmatrix} -1/3 \\ 2/3 \\ 5/3 \end{pmatrix}",
    r"(-\infty, 2) \cup (3, \infty)",
    r"1 \pm \sqrt{19}",
    r"3 \pm 2 \sqrt{2}",
    r"\left(\frac{3}{5},\frac{8}{3}\right]",
    "x \\in [-2,7]",
    "4.5e33",
    "1e-5",
    "-1./3",
    "np.arcsin(10/13)",
    "I(0) e^{-t / 2}",
    r"x_{0} \cos (\omega t)+$ $\dot{x}_{0} \sin (\omega t) / \omega",
    r"y^{\prime}+r y-r x(t)=0",
    r"\frac{37}{4} m",
    r"$f(x)=a x+b$, where $b$ is any integer",
    r"$(-\infty, 0) \cup\{1\}$.",
    r"$\left\lfloor\log _{2} n\right\rfloor+1$",
    r"$\binom{2n}{n}$",
    "$69$,$84$",
    "$\\angle A B C=90$,$\\angle A C B=45$",
    "b ^ { 2 } - 9 a ^ { 2 }",
    "x \\ge - \\frac { 3 } { 2 }",
    "5 : 1",
    "all real numbers",
    "$1.09 \\times 10^{0}$",
    "$-1<x \\leqslant 1:(-1,1]$",
    "No solution : $\\oslash$",
    "$4 \\frac{4}{9}$ days",
    "$\\pm 1, \\pm i$",
    "$\\{x|-2\\leq x < 1\\}$",
    "$48$, $384$",
    "b > a > c",
    "20 $cm^{2}$",
    "$36\\sqrt{7}cm^{3}$",
    "1:58 am",
    "$145$solution:",
    "$2$ or $-2$ or $\\frac{1}{2}$",
    "$Quadrant I$",
    "2/6",
    "12%",
    "10和11之间",
    "第一象限",
    "2.7×10^9",
    "π/2",
    "240/(x-2)-240/x=10",
    "必要不充分条件",
    "若 m / / \\alpha, n \\perp \\alpha, 则 m \\perp n",
    "\\neg p 和 q 都是真命题",
    "[0, +∞)",
    "$y=\\frac{1}{2} t^{2}+C, C$ 为任意常数．",
    "$S(x)=\\left\\{\\begin{array}{l}x, x>0 \\\\ 1, x=0\\end{array}\\right.$",
    "0。3853",
    [3568, 5880, 6512, 864],
    "1, 2, 3, 或 6",
    "5, 17 和 29 是一组；2, 27 是一组",
    "4, frac{31}{40}",
    "50!",
    "2^5 * 5",
    "She has 16 - 3 = 13.\n#### 13",
    "so $s = \\boxed{1.6}$",
    "15 and $22.5 \\mathrm{~min}$",
]


@pytest.mark.slow
def test_each_shape_of_gold_is_right_against_itself():
    found = self_check.check(SHAPES)
    assert found["unreadable"] == found["wrong"] == []
    assert found["right"] == found["readable"] == found["golds"] == len(SHAPES)
    assert sum(found["kinds"].values()) == len(SHAPES)
    assert found["math_verify"] < len(SHAPES)  # alone it is wrong on some
    assert self_check.check(SHAPES, workers=1) == found


@pytest.mark.parametrize(
    "gold, kind",
    [
        ("A", "choice"),
        ("ACD", "choice"),
        ("9 (apples)", "number"),
        ("Mr. Hill", "words"),
        (r"\text{east}", "words"),
        (r"\sqrt{2}", "expression"),
        ("第一象限", "text"),
        ("p - q", "expression"),
        ("m", "words"),
    ],
)
def test_kinds_of_golds(gold, kind):
    assert self_check.kind(gold) == kind


def run(*flags) -> subprocess.CompletedProcess:
    return commands.here("score.py", *flags)


@pytest.mark.slow
def test_self_check_of_a_file_names_every_gold_that_cannot_be_scored(tmp_path):
    table = pa.table({"uuid": ["a", "b", "c", "d"], "answer": ["5", None, r"\frac{1}{2", "x^2"]})
    pq.write_table(table, tmp_path / "p.parquet")
    done = run("--self-check", "--problems", tmp_path / "p.parquet", "--output", tmp_path / "c.json")
    assert (
        done.returncode == 1
        and "2 of 4 golds cannot be scored" in done.stderr
        and "Traceback" not in done.stderr
    )
    assert "row 1, column answer: None: nothing" in done.stderr and "row 2, column answer" in done.stderr
    found = json.loads((tmp_path / "c.json").read_text())
    assert (found["right"], [row["row"] for row in found["unreadable"]]) == (2, [1, 2])
    pq.write_table(table.slice(0, 1), tmp_path / "p.parquet")
    done = run("--self-check", "--problems", tmp_path / "p.parquet")
    assert done.returncode == 0 and "1 of 1 readable golds are right against themselves" in done.stdout


def test_a_gold_that_the_reading_cuts_is_found():
    found = self_check.check(["5", "a </think> b"])
    assert found["wrong"] == [{"row": 1, "gold": "a </think> b", "answer": None, "rule": "no answer"}]
    assert (found["readable"], found["right"]) == (2, 1)
    trouble = self_check.problem(found, "p.parquet")
    assert "1 of 2 golds" in str(trouble) and "row 1" in str(trouble)
