"""An experiment beside the others of its sweep: paired, corrected for their number, and honest where n is small."""

from __future__ import annotations

import json

import commands
import pytest
from lazy import Lazy

from distillery.evaluate import comparison, sweep_comparison
from distillery.problems import UsageProblem

multitest = Lazy("statsmodels.stats.multitest")

PROBLEMS = 40


def scores(right, length=100) -> list[dict]:
    """One answer a problem, right where `right` says, of so many tokens."""
    made = {
        "sample": 0,
        "problem_type": "t",
        "lenient": False,
        "stop": "eos",
        "unfinished_think": False,
        "timed_out": False,
    }
    return [
        made | {"id": f"p{one}", "strict": right(one), "tokens": length, "gold": "1"}
        for one in range(PROBLEMS)
    ]


SWEEP = {
    "own": scores(lambda one: one % 2 == 0),
    "more": scores(lambda one: one % 2 == 0 or one < 30, length=300),
    "less": scores(lambda one: one % 2 == 0 and one > 16),
    "like": scores(lambda one: one % 2 == 0 or one == 1),
}


@pytest.mark.slow
def test_differences_are_the_comparisons_and_corrected_as_statsmodels_does():
    table = sweep_comparison.compare(SWEEP, "own", 0)
    rows = {row["experiment"]: row for row in table["rows"]}
    assert [row["experiment"] for row in table["rows"]] == ["more", "like", "own", "less"]  # best first
    others = ["more", "less", "like"]
    for name in others:
        paired = comparison.compare(SWEEP["own"], SWEEP[name], 0)["paired"]
        assert [rows[name][key] for key in ("difference", "difference_interval", "p")] == [
            paired[key] for key in ("difference", "difference_interval", "p")
        ]
    expected = multitest.multipletests([rows[name]["p"] for name in others], method="holm")[1]
    assert [rows[name]["p_holm"] for name in others] == pytest.approx(list(expected), rel=1e-3)
    assert rows["own"]["p"] is None and rows["own"]["sentence"] == "this experiment"
    assert (rows["more"]["sentence"], rows["less"]["sentence"]) == ("better", "worse")
    assert rows["like"]["sentence"].startswith(
        "no difference shown at n = 40; one of this size would show at n = "
    )
    # one budget for all: the answers of `more` are longer than it
    assert table["budget"] == 100 and (rows["more"]["within_budget"], rows["own"]["within_budget"]) == (
        0,
        0.5,
    )


def test_an_experiment_that_was_asked_something_else_is_shown_and_not_compared():
    other = [row | {"id": f"q{row['id']}"} for row in SWEEP["more"]]
    rows = {
        row["experiment"]: row for row in sweep_comparison.compare(SWEEP | {"more": other}, "own", 0)["rows"]
    }
    assert rows["more"]["p_holm"] is None and "not of the same samples" in rows["more"]["sentence"]
    assert rows["less"]["p_holm"] is not None


def test_the_command_writes_the_table_and_refuses_an_unknown_reference(tmp_path):
    for name, rows in SWEEP.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    named = [f"{name}={name}.jsonl" for name in SWEEP]
    done = commands.here(
        "evaluate_sweep.py", "--reference", "own", "--scores", *named, "--output", "s.json", cwd=tmp_path
    )
    assert done.returncode == 0 and "less: worse" in done.stdout, done.stderr
    assert json.loads((tmp_path / "s.json").read_text()) == sweep_comparison.compare(SWEEP, "own", 0)
    done = commands.here(
        "evaluate_sweep.py", "--reference", "none", "--scores", *named, "--output", "t.json", cwd=tmp_path
    )
    assert done.returncode == UsageProblem.exit_code and not (tmp_path / "t.json").exists()
