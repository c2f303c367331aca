"""Any two experiments beside each other: the page and its numbers, from answers and scores as a run leaves them."""

import json
from pathlib import Path

import commands
import pytest
import report_files
import sweep_files

from distillery import artefacts, digests
from distillery.evaluate import comparison
from distillery.problems import UsageProblem

LINE = ("report_pair.py", "--configfile", "c.yaml", "--experiment")


@pytest.fixture
def sweep(tmp_path) -> Path:
    sweep_files.write(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_two_experiments_are_set_side_by_side_with_the_texts_that_flipped(sweep):
    done = commands.here(*LINE, "small-seed1", "--beside", "small-seed2", cwd=sweep)
    assert done.returncode == 0, done.stderr
    base, tuned = (report_files.judged(kind, sweep_files.PROBLEMS)[1] for kind in ("base", "tuned"))
    expected = comparison.compare(base, tuned, 0, ("small-seed1", "small-seed2"))
    folder = sweep / "results/comparisons/small-seed1/small-seed2"
    found = digests.read_json(folder / "sums-heldout.json")
    assert found["comparison"] == json.loads(json.dumps(expected))
    assert {row["id"] for row in found["flips"]} == {
        *expected["paired"]["gained"],
        *expected["paired"]["lost"],
    }
    assert {row["flip"] for row in found["flips"]} == {"gained", "lost"}
    page = (folder / "sums-heldout.html").read_text()
    for row in found["flips"]:
        assert row["id"] in page and set(row["texts"]) == {"base", "tuned"}
    assert page.count('<div class="pair">') == len(found["flips"]) > 3
    # an answer that tries to break out of the page
    assert report_files.HOSTILE not in page and "&lt;script&gt;alert(1)" in page
    assert comparison.summary(expected)["sentence"][1:] in page and "small-seed2 beside small-seed1" in page
    assert "small-seed2: 83.3% of 12" in done.stdout and "sums-heldout.html" in done.stdout
    before = page
    assert commands.here(*LINE, "small-seed1", "--beside", "small-seed2", cwd=sweep).returncode == 0
    assert (folder / "sums-heldout.html").read_text() == before


def test_the_model_before_training_is_one_of_them_too(sweep):
    done = commands.here(*LINE, "small-seed1:base", "--beside", "small-seed1", cwd=sweep)
    assert done.returncode == 0, done.stderr
    page = (sweep / "results/comparisons/small-seed1+base/small-seed1/sums-heldout.html").read_text()
    assert "No problem's outcome changed" in page and "o difference shown at n = 12" in page


@pytest.mark.parametrize(
    "one, other, words",
    [
        ("small-seed1", "none", "no such experiment"),
        ("small-seed1", "", "no name"),
        ("small-seed1", "small-seed1", "nothing to compare"),
    ],
)
def test_what_cannot_be_compared_is_said_and_nothing_is_written(sweep, one, other, words):
    done = commands.here(*LINE, one, "--beside", other, cwd=sweep)
    assert done.returncode == UsageProblem.exit_code and words in done.stderr
    assert not (sweep / "results/comparisons").exists()


def test_answers_that_are_not_there_or_not_whole_end_it(sweep):
    scores = sweep / artefacts.TUNED_SCORES.at(experiment="small-seed2")
    scores.write_bytes(scores.read_bytes().replace(b'"strict": true', b'"strict": false', 1))
    for words in ("not the one whose digest", "no such file"):
        done = commands.here(*LINE, "small-seed1", "--beside", "small-seed2", cwd=sweep)
        assert done.returncode == 1 and words in done.stderr, done.stderr
        assert not (sweep / "results/comparisons").exists()
        scores.unlink(missing_ok=True)
