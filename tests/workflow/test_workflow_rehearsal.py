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
    "8",
]


def rehearse(folder, *more: str) -> subprocess.CompletedProcess[str]:
    line = [*LINE, "--directory", str(folder), *more]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.mark.mindspore
@pytest.mark.whole
def test_every_step_is_in_the_table(tmp_path):
    done = rehearse(tmp_path, "--disk", "0.1", "--tokens", "2")
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    table = done.stdout.rpartition("| step |")[2]
    rows = re.findall(
        r"^\| ([^|]+) \| (\d+\.\d) \| \d+\.\d \| (\d+\.\d\d) \| \d+\.\d \| \d* \|$", table, re.M
    )
    steps = [step for step, _, _ in rows]
    assert steps[:2] == ["lock", "fetch"] and steps[-2:] == ["merge", "quality"]
    assert {"to TP2 PP1", "prove TP1 PP2 back", "4 answers of 2 tokens", "tokenize 2 of 2"} <= set(steps)
    assert len(steps) == 15 and all(float(memory) > 0.05 for _, _, memory in rows)
    assert not list(tmp_path.iterdir())


def test_too_little_disk_is_refused_before_anything_is_made(tmp_path):
    done = rehearse(tmp_path, "--disk", "1e6")
    assert done.returncode == 1 and "wanted 1e+06 GB" in done.stderr
    assert "+" not in done.stdout and not list(tmp_path.iterdir())
