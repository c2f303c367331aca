"""Earlier runs of an experiment: kept by their reports, told apart, compared with the current one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import report_files

from distillery import digests, files, kept_runs
from distillery.evaluate import run_comparison
from distillery.problems import Problem

KEPT = {*kept_runs.NAMES.values(), kept_runs.REPORT, kept_runs.SETTINGS}


def finish(folder: Path, lr: float, right: int, training: str = "k") -> Path:
    """A run of other settings in the same place, so many of whose answers are right; returns where it is kept."""
    (answers, scores) = report_files.judged("tuned", 12)
    scores = [{**row, "strict": number < right} for number, row in enumerate(scores)]
    digests.write_lines(
        folder / "tuned.jsonl", (json.dumps(row | {"lr": lr}).encode() + b"\n" for row in answers)
    )
    digests.write_lines(folder / "tuned.scores.jsonl", (json.dumps(row).encode() + b"\n" for row in scores))
    files.write_text(folder / "report.html", f"lr {lr}")
    part = folder / "report/answers/0.js"
    part.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(part, f"answers at {lr}")
    inputs = {role: folder / name for role, name in kept_runs.NAMES.items()}
    return kept_runs.keep(
        folder / "report.html", [part], inputs, {"train": {"lr": lr, "seed": 1}, "seq_length": 64}, training
    )


@pytest.fixture
def made(tmp_path: Path) -> Path:
    report_files.write(tmp_path)
    return tmp_path


def test_earlier_runs_stay_as_they_were_and_weights_are_not_among_them(made):
    first = finish(made, 0.001, 12)
    before = {path.name: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    assert {name for name in before if not name.startswith(".")} == {*KEPT, "0.js"}
    assert os.path.samefile(first / "tuned.jsonl", made / "tuned.jsonl")  # no room but for its name
    second = finish(made, 0.002, 2)
    assert {path.name: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before
    assert (second / "report/answers/0.js").read_text() == "answers at 0.002"
    assert (second / "report.html").read_text() == "lr 0.002" and first != second
    assert [(run.name, run.current) for run in kept_runs.of(made)] == sorted(
        [(first.name, False), (second.name, True)]
    )
    assert all(
        map(digests.intact, (first / "tuned.scores.jsonl", first / "base.jsonl", first / "settings.json"))
    )


def test_of_runs_that_answer_the_same_the_last_is_the_current_one(made):
    """By their scores the first of two that had none right was taken for it."""
    for lr in (0.001, 0.002, 0.003):
        kept = finish(made, lr, 0)
        assert [run.name for run in kept_runs.of(made) if run.current] == [kept.name]


def test_a_run_is_named_by_what_decides_it(made):
    first = finish(made, 0.001, 12)
    assert finish(made, 0.001, 12) == first  # made again: the same place
    others = [finish(made, 0.001, 12, "other data"), finish(made, 0.001, 11), finish(made, 0.002, 12)]
    assert len({first, *others}) == 4


def test_runs_are_compared_on_the_same_problems_with_what_was_set_otherwise(made):
    first, second = finish(made, 0.001, 12), finish(made, 0.002, 2)
    found = {row["run"]: row for row in run_comparison.table(made, 0)["rows"]}
    assert found[second.name]["current"] and not found[first.name]["current"]
    assert found[first.name]["differs"] == {"train.lr": [0.001, 0.002]}
    assert found[first.name]["difference"] == pytest.approx(10 / 12, abs=1e-3)
    assert found[first.name]["folder"] == str(first)
    line = run_comparison._line(found[first.name])
    assert "+83.33%" in line and "better" in line and "train.lr 0.001 (now 0.002)" in line
    assert "current run" in run_comparison._line(found[second.name])
    # scores that are no run's yet: of a run that goes on
    digests.write_lines(
        made / "tuned.scores.jsonl",
        (
            json.dumps(row | {"strict": row["id"] < "b"}).encode() + b"\n"
            for row in report_files.judged("tuned", 12)[1]
        ),
    )
    found = run_comparison.table(made, 0)["rows"]
    assert {row["run"] for row in found} == {first.name, second.name, "current"}
    assert all(row["differs"] is None for row in found)


def test_the_same_settings_and_other_data_are_said_to_be_that(made):
    finish(made, 0.001, 12, "old data")
    finish(made, 0.001, 2, "new data")
    rows = run_comparison.table(made, 0)["rows"]
    assert "the same settings, other data or code" in "".join(map(run_comparison._line, rows))


def test_nothing_kept_and_what_was_changed_are_named(made):
    with pytest.raises(Problem, match="no run of the experiment was kept"):
        run_comparison.table(made, 0)
    first = finish(made, 0.001, 12)
    finish(made, 0.002, 12)
    scores = first / "tuned.scores.jsonl"
    scores.write_bytes(scores.read_bytes().replace(b"true", b"tru ", 1))
    with pytest.raises(Problem, match="not the one whose digest|not a JSON object"):
        run_comparison.table(made, 0)
