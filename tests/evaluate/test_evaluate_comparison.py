"""Statistics against scipy and known tables, and the comparison of two score files."""

from __future__ import annotations

import json

import commands
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lazy import Lazy

from distillery.evaluate import comparison, statistics
from distillery.problems import Problem
from distillery.report import overview

proportion = Lazy("statsmodels.stats.proportion")
stats = Lazy("scipy.stats")


@pytest.mark.slow
@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(pair):
    right, n = pair
    reference = stats.binomtest(right, n).proportion_ci(0.95, "wilson")
    assert statistics.wilson(right, n) == pytest.approx((reference.low, reference.high), abs=1e-12)


@pytest.mark.slow
@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_scipys_binomial_test(first, second):
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert statistics.mcnemar(first, second) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "cells, interval",
    [
        # complete response in myeloma patients (Cavo et al. 2012), as R's contingencytables gives it
        ((59, 6, 16, 80), (0.0046, 0.1186)),
        ((0, 0, 400, 0), (0.9865, 1.0)),  # Wilson's 0..0.0095 and 0.9905..1, uncorrelated
    ],
)
def test_newcombes_paired_interval(cells, interval):
    assert statistics.newcombe(*cells) == pytest.approx(interval, abs=6e-5)


@given(st.lists(st.integers(0, 60), min_size=4, max_size=4).filter(sum))
def test_the_paired_interval_holds_the_difference_and_mirrors(cells):
    both, first, second, neither = cells
    low, high = statistics.newcombe(both, first, second, neither)
    assert -1 - 1e-9 <= low <= (second - first) / sum(cells) <= high <= 1 + 1e-9
    assert statistics.newcombe(both, second, first, neither) == pytest.approx((-high, -low), abs=1e-9)


def test_bootstrap_agrees_with_the_normal_theory_and_repeats():
    values = np.random.default_rng(0).normal(0.3, 1.0, 400)
    low, high = statistics.bootstrap(values, 7)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)
    assert statistics.bootstrap(values, 7) == (low, high) != statistics.bootstrap(values, 8)


def test_the_columns_of_a_bootstrap_are_resampled_together():
    column = np.random.default_rng(1).random(50)
    one, same, reverse = statistics.bootstrap_all(np.stack([column, 2 * column, 1 - column], axis=1), 5)
    assert same == pytest.approx((2 * one[0], 2 * one[1]), abs=1e-12)
    assert reverse == pytest.approx((1 - one[1], 1 - one[0]), abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [2, 5, 400])
def test_a_bootstrap_over_kinds_of_problems_is_scipys_over_problems(kinds):
    """Wherever problems share their values, as shares of a few samples do, and where none does."""
    draw = np.random.default_rng(kinds)
    values = draw.integers(0, kinds, 400) / (kinds - 1) if kinds < 400 else draw.random(400)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=9999, method="percentile", random_state=1)
    mean = values.mean()
    low, high = statistics.bootstrap(values, 3)
    wanted = theirs.confidence_interval
    assert (mean - low, high - mean) == pytest.approx((mean - wanted.low, wanted.high - mean), rel=0.06)


@pytest.mark.parametrize("share, n", [(0.0, 30), (1.0, 30), (0.25, 12), (0.5, 7), (2 / 3, 500)])
def test_where_all_problems_are_alike_the_interval_is_no_point(share, n):
    """AIME with four samples a problem, none of them right, is no proof that none ever will be."""
    values = np.full((n, 1), share)
    assert statistics.bootstrap_all(values, 0) == [pytest.approx((share, share))]
    assert statistics.mean_shares(values, 0) == [
        pytest.approx(proportion.proportion_confint(share * n, n, method="wilson"), abs=1e-12)
    ]


def test_each_measure_gets_the_interval_of_its_values():
    draw = np.random.default_rng(2)
    yes, shares = draw.integers(0, 2, 40), draw.integers(0, 5, 40) / 4
    first, second = statistics.mean_shares(np.stack([yes, shares], axis=1), 9)
    assert first == pytest.approx(proportion.proportion_confint(yes.sum(), 40, method="wilson"), abs=1e-12)
    assert second == statistics.bootstrap_all(np.stack([yes, shares], axis=1), 9)[1]


def row(problem: int, strict: bool, sample: int = 0, **more) -> dict:
    made = {
        "id": f"u{problem}",
        "sample": sample,
        "problem_type": "ab"[problem % 2],
        "strict": strict,
        "lenient": True,
    }
    return made | {"stop": "eos", "tokens": problem + 1, "unfinished_think": False, "timed_out": False} | more


BASE = [row(i, i < 3) for i in range(10)]
TUNED = [row(i, i != 0) for i in range(10)]


def test_counts_flips_and_families():
    made = comparison.compare(BASE, TUNED, seed=0)
    assert (made["base"]["accuracy"], made["tuned"]["accuracy"], made["problems"]) == (0.3, 0.9, 10)
    paired = made["paired"]
    assert paired["gained"] == [f"u{i}" for i in range(3, 10)] and paired["lost"] == ["u0"]
    assert (paired["both"], paired["neither"], paired["difference"]) == (2, 0, 0.6)
    assert paired["mcnemar_p"] == pytest.approx(stats.binomtest(1, 8).pvalue, abs=1e-6)
    assert made["families"]["a"]["base"] == {
        "n": 5,
        "right": 2,
        "accuracy": 0.4,
        "interval": [round(v, 6) for v in statistics.wilson(2, 5)],
    }
    assert made["base"]["lenient"]["accuracy"] == 1.0
    assert made["base"]["tokens"] == {"mean": 5.5, "median": 5.5, "p90": 9.1, "max": 10, "total": 55}


def test_answers_of_rounded_weights_are_told_on_their_side():
    made = comparison.compare(BASE, [one | {"weights": "int8"} for one in TUNED], seed=0)
    assert made["weights"] == comparison.summary(made)["weights"] == {"tuned": "int8"}
    assert "note: tuned answered with int8 weights, which lost precision" in comparison.lines(made)
    told = [one["text"] for one in overview.notices(made, None, [], [])]
    assert "the tuned answers are those of int8 weights, which lost precision" in told
    exact = comparison.compare(BASE, TUNED, seed=0)
    assert "weights" not in exact and "weights" not in comparison.summary(exact)


def test_several_samples_count_by_problem():
    base = [row(i, s == 0, s) for i in range(6) for s in range(4)]
    tuned = [row(i, s < 3, s) for i in range(6) for s in range(4)]
    made = comparison.compare(base, tuned, seed=0)
    assert (made["base"]["accuracy"], made["tuned"]["accuracy"], made["samples"]) == (0.25, 0.75, 4)
    # every problem alike: resampling problems leaves no doubt, though 24 answers vary
    assert made["paired"]["difference_interval"] == [0.5, 0.5]
    assert "mcnemar_p" not in made["paired"]


@pytest.mark.parametrize(
    "base, tuned, verdict",
    [(BASE, TUNED, "better"), (TUNED, BASE, "worse"), (BASE, BASE, "no clear difference")],
)
def test_verdicts(base, tuned, verdict):
    assert comparison.summary(comparison.compare(base, tuned, 0))["verdict"] == verdict


def test_other_samples_are_refused():
    with pytest.raises(Problem, match="missing from tuned"):
        comparison.compare(BASE, TUNED[1:], 0)
    with pytest.raises(Problem, match="missing from base"):
        comparison.compare(BASE[1:], TUNED, 0)


def test_compare_command_writes_both_files(tmp_path):
    for name, scores in (("base", BASE), ("tuned", TUNED)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(score) + "\n" for score in scores))
    flags = ["--base", "base.jsonl", "--tuned", "tuned.jsonl", "--output", "c.json", "--summary", "s.json"]
    done = commands.here("evaluate_compare.py", *flags, cwd=tmp_path)
    assert done.returncode == 0 and "tuned: 90.0% of 10" in done.stdout, done.stderr
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary["base"]["accuracy"] == 0.3 and summary["tuned"] | {"interval": 0} == {
        "accuracy": 0.9,
        "n": 10,
        "interval": 0,
    }
    assert json.loads((tmp_path / "c.json").read_text()) == comparison.compare(BASE, TUNED, 0)
