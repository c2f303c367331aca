"""The dress rehearsal in miniature: every step runs, what was read is gone, and too little disk is refused first."""

import re
import subprocess
import sys

import pytest
from places import ROOT

LINE = [
    sys.executable,
    str(ROOT / "benchmarks/rehearsal.py"),
    "--model",
    "tiny",
    "--shards",
    "2",
    "--rows",
    "80",
]


def rehearse(folder, *more: str) -> subprocess.CompletedProcess[str]:
    line = [*LINE, "--directory", str(folder / "here"), "--table", str(folder / "table.md"), *more]
    (folder / "here").mkdir()
    return subprocess.run(line, capture_output=True, text=True, check=False)


def steps_of(table: str) -> dict[str, float]:
    """{step: GB of its largest process} of a table's rows."""
    number, planned = r"\d+\.\d+", r"[\d.]*"
    cells = ["([^|]+)", number, planned, number, f"({number})", planned, r"-?\d+\.\d", planned]
    rows = re.findall(rf"^\| {' [|] '.join(cells)} [|]$", table, re.M)
    return {step: float(memory) for step, memory in rows}


@pytest.mark.mindspore
@pytest.mark.whole
def test_every_step_is_in_the_table(tmp_path):
    done = rehearse(tmp_path, "--disk", "0.1", "--tokens", "2")
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    table = (tmp_path / "table.md").read_text()
    assert done.stdout.endswith(f"{table}\n")
    steps = steps_of(table)
    names = list(steps)
    assert names[:4] == ["plan", "lock", "fetch model", "override rope"]
    assert names[4:8] == ["select", "tokenize 2 shards, two at a time", "merge", "quality"]
    assert {"to TP2 PP1", "prove TP1 PP2 back", "3 launch lines", "cp and sync, as from TP1 PP2"} <= set(
        names
    )
    assert names[-1] == "4 answers of 2 tokens" and len(names) == 22
    assert all(memory > 0.01 for memory in steps.values()) and steps[names[-1]] > 0.3
    # the trainer's has the shape of a model of two layers, the plan's that of the true one
    assert "launch lines: 2 of 3 are the plan's, word for word" in table
    assert "--num-layers 2 --hidden-size 32" in done.stdout
    assert re.search(r"^select: \d+ of 80 rows are kept$", table, re.M)
    assert len(re.findall(r"x the time of cp and sync", table)) == 4
    assert not list((tmp_path / "here").iterdir())


@pytest.mark.mindspore
@pytest.mark.whole
def test_what_fails_is_told_and_the_other_parts_go_on(tmp_path):
    done = rehearse(tmp_path, "--disk", "0.1", "--tokens", "999")
    table = (tmp_path / "table.md").read_text()
    assert done.returncode == 1 and "answers is not complete" in table
    assert "prove TP1 PP2 back" in steps_of(table) and not list((tmp_path / "here").iterdir())


def test_too_little_disk_is_refused_before_anything_is_made(tmp_path):
    done = rehearse(tmp_path, "--disk", "1e6")
    assert done.returncode == 1 and "wanted 1e+06 GB" in done.stderr
    assert "+" not in done.stdout and not list((tmp_path / "here").iterdir())
