"""What a run says: a line a job, below it how far the others are; commands with -p, all of it with --verbose."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from house import House
from places import FIXTURES, SCRIPTS
from terminals import on_a_terminal

# what Snakemake's logger is given of two jobs that run and one that fails
PROGRAM = f"""
import json, logging, sys, time; sys.path.insert(0, {str(SCRIPTS)!r})
from pathlib import Path
from distillery import live
from distillery.launch import run_view
live.TICK, run_view.FIRST, run_view.LATER = 0.01, 0.05, 0.2
own = logging.StreamHandler(); own.setFormatter(logging.Formatter("OWN %(message)s"))
logger = logging.getLogger("x"); logger.setLevel(logging.INFO)
view = run_view.View(own, commands=False); logger.addHandler(view)
def say(event, text=None, level=logging.INFO, **more):
    logger.log(level, text, extra={{"event": event, **more}})
say(None, "Building DAG of jobs...")
say("run_info", stats={{"train": 2, "total": 3}})
for number, name in enumerate(["a", "b", "c"]):
    log = Path(f"{{name}}.log")
    say("job_info", jobid=number, rule_name="train", wildcards={{"experiment": name}}, log=[str(log)])
    live.beside(log).write_text(json.dumps({{"line": f"{{number}}/400 steps  loss 0.5  " + "x" * 60}}))
    say("shellcmd", shellcmd="SHELL")
time.sleep(0.5)
say("job_error", "Error in rule train", logging.ERROR, jobid=2)
say(None, "a word of warning", logging.WARNING)
time.sleep(0.3)
say("job_finished", job_id=0); say("progress", done=1, total=3); say("job_finished", job_id=1)
say("job_finished", job_id=2); say("progress", done=3, total=3); say(None, "Nothing to be done")
view.close()
"""


def test_a_terminal_shows_running_jobs_below_the_lines_of_those_that_ended(tmp_path):
    said = on_a_terminal([sys.executable, "-c", PROGRAM], folder=tmp_path)
    frames = re.split(r"\r?\x1b\[J", said)
    assert "OWN" not in frames[0] and "3 jobs to run\n" in frames[0]
    both = next(frame for frame in frames if frame.count("/400 steps") == 3)
    lines = both.split("\x1b")[0].split("\n")
    assert [line.split("  ")[0] for line in lines] == ["train a", "train b", "train c"]
    assert max(map(len, lines)) < 80 and both.endswith("\x1b[2A\r")
    # the failed one is no more among them
    assert "train c" not in frames[-4]
    kept = "".join(frame for frame in frames if "/400" not in frame)
    assert re.sub(r"\d\.\d s", "0.8 s", kept) == (
        "3 jobs to run\nOWN Error in rule train\nOWN a word of warning\n"
        "[1/3]   0.8 s  train a\n[2/3]   0.8 s  train b\n3 of 3 steps (100%) done\nOWN Nothing to be done\n"
    )


def test_without_a_terminal_jobs_that_take_long_get_plain_lines(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "\x1b" not in done.stderr and "SHELL" not in done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("train a  0:0")]
    assert 2 <= len(told) <= 6 and "0/400 steps  loss 0.5" in told[0]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "house", FIXTURES / "workflow/small.yaml")


@pytest.mark.slow
def test_a_run_says_a_line_a_job_and_more_when_it_is_asked_for_more(house):
    def ran(*more: str) -> list[str]:
        done = house.snakemake(
            "--cores", "2", "--until", "fetch_generated_shard", "--forcerun", "fetch_generated_shard", *more
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return (done.stdout + done.stderr).splitlines()

    lines = ran()
    jobs = int(re.search(r"^(\d+) jobs to run$", "\n".join(lines), re.MULTILINE)[1])
    ended = [
        line
        for line in lines
        if re.match(rf"\[ *\d+/{jobs}\] +(\d\.\d s|\d+:\d\d)  fetch_generated_shard ", line)
    ]
    assert len(ended) == jobs and f"{jobs} of {jobs} steps (100%) done" in lines
    assert len(lines) <= jobs + 8, lines
    assert any(line.startswith("Complete log(s): ") for line in lines)
    assert not [line for line in lines if "fetch_generated_shard.py" in line]
    commands = [line for line in ran("-p") if "fetch_generated_shard.py" in line]
    assert len(commands) == jobs
    verbose = "\n".join(ran("--verbose"))
    assert "rule fetch_generated_shard:" in verbose and "fetch_generated_shard.py" in verbose


def test_a_failure_is_told_as_snakemake_does_with_the_log(house):
    with house.replaced(
        "workflow/scripts/fetch_generated_shard.py",
        "def main(",
        "def main(args):\n    raise OSError(28, 'no')\n\n\ndef unused(",
    ):
        failed = house.snakemake("--cores", "1", "--until", "fetch_generated_shard")
    said = failed.stdout + failed.stderr
    assert failed.returncode == 1 and "Error in rule fetch_generated_shard" in said
    assert "no space left" in said.lower() or "make room" in said
