"""Numbers of several samples against enumeration, tests and power against scipy and statsmodels, groups and budgets."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy import Lazy
from places import SCRIPTS

from distillery.evaluate import budgets, comparison, measures, repeated_samples, statistics
from distillery.problems import Problem

contingency_tables = Lazy("statsmodels.stats.contingency_tables")
multitest = Lazy("statsmodels.stats.multitest")
power = Lazy("statsmodels.stats.power")
stats = Lazy("scipy.stats")

ANSWERS = st.lists(st.sampled_from(["right", "7", "8", "9", None]), min_size=1, max_size=7)


@given(ANSWERS)
def test_pass_at_k_is_the_mean_over_all_ways_to_take_k(answers):
    n, right = len(answers), answers.count("right")
    for k in range(1, n + 1):
        ways = ["right" in chosen for chosen in itertools.combinations(answers, k)]
        assert repeated_samples.pass_at(right, n, k) == pytest.approx(sum(ways) / len(ways))


@given(ANSWERS)
def test_majority_at_k_is_the_mean_over_all_ways_to_take_k(answers):
    for k in range(1, len(answers) + 1):
        won = []
        for chosen in itertools.combinations(answers, k):
            votes = {answer: chosen.count(answer) for answer in chosen if answer is not None}
            most = [answer for answer, count in votes.items() if count == max(votes.values())]
            won.append(("right" in most) / max(len(most), 1))
        assert repeated_samples.majority_at(answers, k) == pytest.approx(sum(won) / len(won))


def test_many_samples_are_counted_at_once():
    answers = ["right"] * 20 + [str(number % 9) for number in range(30)] + [None] * 14
    assert repeated_samples.majority_at(answers, 1) == pytest.approx(20 / 64)
    assert repeated_samples.majority_at(answers, 32) > 0.99
    assert repeated_samples.majority_at(answers, 64) == 1.0
    assert [repeated_samples.ks(n) for n in (1, 4, 6)] == [[1], [1, 2, 4], [1, 2, 4, 6]]


@pytest.mark.slow
@given(st.integers(0, 40), st.integers(0, 40))
def test_sign_flips_of_yes_and_no_are_mcnemars_test(lost, gained):
    differences = [Fraction(-1)] * lost + [Fraction(1)] * gained + [Fraction(0)] * 3
    expected = (
        contingency_tables.mcnemar([[0, lost], [gained, 0]], exact=True).pvalue if lost + gained else 1.0
    )
    assert (
        statistics.sign_flip(differences)
        == pytest.approx(expected)
        == pytest.approx(statistics.mcnemar(lost, gained))
    )


@pytest.mark.slow
@given(st.lists(st.integers(-4, 4), min_size=2, max_size=9))
@settings(max_examples=30)
def test_sign_flips_are_scipys_permutation_test(quarters):
    values = np.array(quarters) / 4
    test = stats.permutation_test(
        (values,),
        lambda x: abs(x.sum()),
        permutation_type="samples",
        alternative="greater",
        n_resamples=np.inf,
    )
    assert statistics.sign_flip(list(map(Fraction, values))) == pytest.approx(test.pvalue, abs=1e-12)


@pytest.mark.slow
@settings(max_examples=20)  # statsmodels takes 54 ms for each
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holms_correction_is_statsmodels(p_values):
    assert statistics.holm(p_values) == pytest.approx(
        list(multitest.multipletests(p_values, method="holm")[1])
    )


@pytest.mark.slow
@pytest.mark.parametrize("mean, deviation", [(0.1, 0.5), (-0.05, 0.4), (0.02, 0.3), (0.3, 0.6)])
def test_the_number_that_would_show_it_is_statsmodels(mean, deviation):
    n = power.NormalIndPower(ddof=0).solve_power(abs(mean) / deviation, alpha=0.05, power=0.8, ratio=0)
    assert statistics.needed(mean, deviation) == math.ceil(n)
    assert statistics.shown(statistics.needed(mean, deviation), deviation) == pytest.approx(
        abs(mean), rel=0.02
    )
    assert statistics.needed(0.0, deviation) is None


def test_so_many_problems_do_show_it_in_four_of_five_comparisons():
    """Simulated: 14 % of problems gained and 6 % lost, which the exact test shall find."""
    differences = np.array([1] * 14 + [-1] * 6 + [0] * 80)
    n = statistics.needed(differences.mean(), differences.std())
    rng = np.random.default_rng(0)
    drawn = rng.choice(differences, (2000, n))
    found = [statistics.mcnemar(int((row < 0).sum()), int((row > 0).sum())) < 0.05 for row in drawn]
    assert 0.72 < np.mean(found) < 0.85


def score(problem: int, sample: int, strict: bool, boxed: str | None, **more) -> dict:
    made = {
        "id": f"u{problem}",
        "sample": sample,
        "problem_type": "t",
        "strict": strict,
        "lenient": strict,
        "stop": "eos",
    }
    made |= {
        "tokens": 10,
        "unfinished_think": False,
        "timed_out": False,
        "boxed": boxed,
        "math_verify": strict,
    }
    return made | more


def test_votes_are_for_values_not_for_their_spelling():
    assert measures.vote(score(0, 0, True, "1/2")) == "right"
    same = [score(0, 0, False, text) for text in ("0.5", r"\frac{1}{2}", r"\dfrac12", "0.50")]
    assert len({measures.vote(row) for row in same}) == 1
    assert measures.vote(score(0, 0, False, "50%")) != measures.vote(score(0, 0, False, "50"))
    assert measures.vote(score(0, 0, False, r"\text{no}")) == measures.vote(score(0, 0, False, "no"))
    assert measures.vote(score(0, 0, False, None)) is None


def test_a_side_has_all_numbers_of_its_samples():
    # three of four right; one of four right with the other three alike; none, without boxes
    rows = [score(0, s, s < 3, "5" if s < 3 else "6") for s in range(4)]
    rows += [
        score(1, s, s < 1, "5" if s < 1 else "7.0" if s % 2 else "7", math_verify=True) for s in range(4)
    ]
    rows += [score(2, s, False, None, stop="length", tokens=30, unfinished_think=True) for s in range(4)]
    rows += [score(3, s, False, None, scorable=False) for s in range(4)]
    made = measures.side(rows, 0)
    assert (made["n"], made["right"], made["accuracy"]) == (12, 4, pytest.approx(1 / 3))
    assert {k: round(one["value"], 6) for k, one in made["pass_at"].items()} == dict(
        zip("124", (0.333333, 0.5, 0.666667), strict=True)
    )
    assert {k: round(one["value"], 6) for k, one in made["maj_at"].items()} == {
        # of two: (3 + 3/2)/6 and (3/2)/6; of all: yes, no, no
        "1": 0.333333,
        "2": round((0.75 + 0.25) / 3, 6),
        "4": 0.333333,
    }
    assert made["pass_at"]["1"]["value"] == made["maj_at"]["1"]["value"] == pytest.approx(made["accuracy"])
    assert made["unscorable"] == {"problems": 1, "ids": ["u3"]}
    assert made["stops"] == {"eos": 8, "length": 4} and made["unfinished_think"] == pytest.approx(1 / 3)
    assert made["boxed"] == pytest.approx(2 / 3) and made["disputed"] == 3
    assert made["tokens_of"] == {"right": 10.0, "wrong": 20.0}
    low, high = made["pass_at"]["2"]["interval"]
    assert low <= 0.5 <= high
    assert "pass_at" not in measures.side(rows[::4], 0)
    with pytest.raises(Problem, match="no answer can be scored"):
        measures.side(rows[12:], 0)


def test_groups_by_family_source_and_level():
    rows = [
        score(i, 0, i % 3 == 0, "5", level=i % 2, source="s", problem_type="ab"[i % 2]) for i in range(12)
    ]
    made = measures.groups(rows, 0)
    assert list(made) == ["problem_type", "source", "level"] and list(made["level"]) == ["0", "1"]
    assert made["source"]["s"]["accuracy"] == pytest.approx(1 / 3) and made["level"]["0"]["n"] == 6
    assert made["level"]["1"]["tokens"]["total"] == 60
    compared = comparison.compare(rows, rows, 0)
    assert (
        compared["groups"]["level"]["0"]["tuned"]["n"] == 6
        and compared["groups"]["source"]["s"]["base"]["n"] == 12
    )


def test_budgets_count_what_is_right_within_so_many_tokens():
    base = [score(i, 0, True, "5", tokens=20 * (i + 1)) for i in range(4)]  # 20, 40, 60, 80
    tuned = [score(i, 0, True, "5", tokens=200) for i in range(4)]
    made = budgets.table(base, tuned)
    assert [row["tokens"] for row in made] == [32, 64, 128, 256]
    assert [row["base"] for row in made] == [0.25, 0.75, 1.0, 1.0]
    assert [row["tuned"] for row in made] == [0.0, 0.0, 0.0, 1.0]
    assert (made[0]["base_spent"], made[-1]["tuned_spent"]) == ((20 + 3 * 32) / 4, 200.0)


def test_no_difference_is_said_with_what_would_show_it():
    base = [score(i, 0, i < 10, "5") for i in range(30)]
    tuned = [score(i, 0, 1 <= i < 13, "5") for i in range(30)]
    summary = comparison.summary(comparison.compare(base, tuned, 0))
    assert summary["verdict"] == "no clear difference" and summary["p"] == pytest.approx(0.625)
    needed = summary["power"]["needed"]
    assert summary["sentence"].startswith("no difference shown at n = 30: +6.7 points")
    assert summary["sentence"].endswith(f"would show at n = {needed}") and 200 < needed < 300
    same = comparison.summary(comparison.compare(base, base, 0))
    assert same["power"]["needed"] is None and "would show" not in same["sentence"]


def test_unscorable_problems_are_left_out_on_both_sides():
    base = [score(i, 0, i == 0, "5", scorable=i != 2) for i in range(3)]
    made = comparison.compare(base, base, 0)
    assert (made["problems"], made["base"]["n"], made["tuned"]["unscorable"]["ids"]) == (2, 2, ["u2"])


def test_prompts_seeds_and_golds_are_held_against_each_other():
    base = [score(i, 0, True, "5", gold="5", prompt="a", seed=i) for i in range(3)]
    made = comparison.compare(base, [row | {"seed": 0} for row in base], 0, ("one", "other"))
    assert made["same"] == {"prompt": True, "seed": False} and made["names"] == {
        "base": "one",
        "tuned": "other",
    }
    with pytest.raises(Problem, match="same golds"):
        comparison.compare(base, [row | {"gold": "6"} for row in base], 0)


def test_any_two_files_are_compared_by_the_command(tmp_path):
    for name, right in (("a", 3), ("b", 5)):
        rows = [score(i, 0, i < right, "5", seed=i if name == "a" else 0, prompt="p") for i in range(8)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = [
        "--base",
        "a.jsonl",
        "--tuned",
        "b.jsonl",
        "--names",
        "first",
        "second",
        "--output",
        "c.json",
        "--summary",
        "s.json",
    ]
    command = [sys.executable, str(SCRIPTS / "evaluate_compare.py"), *flags]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "second: 62.5% of 8" in done.stdout and "no difference shown at n = 8" in done.stdout
    assert "not made with the same seeds" in done.stdout
