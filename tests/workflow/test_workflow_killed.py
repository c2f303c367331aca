"""A run is killed: the next one says so and goes on, unless it lives; a folder that cannot be written is named."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import here
from house import House
from places import FIXTURES, SCRIPTS

from distillery import former_run, processes

# a run in miniature: it records itself, locks, starts a job that outlives it, and waits
RUN = f"""
import subprocess, sys, time
sys.path.insert(0, {str(SCRIPTS)!r})
from distillery import former_run
former_run.record(["snakemake"])
former_run.LOCKS.mkdir()
(former_run.LOCKS / "0.input.lock").write_text("a")
job = subprocess.Popen(["sleep", sys.argv[1]], close_fds=True)
print(job.pid, flush=True)
time.sleep(600)
"""


def until(what: Callable[[], bool]) -> None:
    """Wait for it; a busy machine gets its time."""
    end = time.monotonic() + 120
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def started(tmp_path: Path):
    runs: list[subprocess.Popen] = []
    jobs: list[int] = []

    def start(seconds: float) -> subprocess.Popen:
        words = [sys.executable, "-c", RUN, str(seconds)]
        runs.append(subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True))
        jobs.append(int(runs[-1].stdout.readline()))
        return runs[-1]

    yield start
    for run in runs:
        run.kill()
        run.wait()
        run.stdout.close()
    for job in jobs:
        with contextlib.suppress(ProcessLookupError):
            os.kill(job, signal.SIGKILL)


def test_a_run_that_lives_is_left_alone_and_one_that_died_is_said_in_a_line(tmp_path, started):
    run = started(600)
    for flags in ([], ["--force"]):
        said = here("unlock.py", *flags, cwd=tmp_path)
        assert said.returncode == 1 and f"found:  process {run.pid}" in said.stderr
    run.send_signal(signal.SIGSTOP)  # it does nothing, and is not gone
    assert here("unlock.py", cwd=tmp_path).returncode == 1
    (tmp_path / ".snakemake/distillery-runs/1-1").write_text("another-machine")
    run.kill()
    run.wait()
    elsewhere = here("unlock.py", cwd=tmp_path)
    assert elsewhere.returncode == 1 and "a run on another-machine" in elsewhere.stderr
    assert "make unlock" in elsewhere.stderr


def test_jobs_of_a_dead_run_are_waited_for(tmp_path, started):
    run = started(3)
    run.kill()  # nobody has waited for it: a zombie, as under a first process that reads no status
    until(lambda: processes.began(run.pid) is None)
    done = here("unlock.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    waiting, died = done.stdout.splitlines()
    assert waiting.startswith("a former run died, but its processes ") and "waiting" in waiting
    assert died.startswith(f"a former run died (process {run.pid}): its lock is removed")
    assert not list((tmp_path / former_run.RUNS).iterdir()) and not list(tmp_path.rglob("*.lock"))
    assert here("unlock.py", cwd=tmp_path).stdout == ""


def test_a_lock_of_nobody_wants_a_word(tmp_path):
    locks = tmp_path / former_run.LOCKS
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text("x")
    refused = here("unlock.py", cwd=tmp_path)
    assert refused.returncode == 1 and "no record of the run" in refused.stderr
    assert here("unlock.py", "--force", cwd=tmp_path).returncode == 0
    assert not locks.exists()


@pytest.mark.slow
def test_snakemake_killed_with_kill_9_goes_on(tmp_path):
    house = House(tmp_path, FIXTURES / "workflow/small.yaml")
    line = [sys.executable, "-m", "snakemake", "--configfile", str(house.configfile), "--cores", "1"]
    line += ["--until", "fetch_generated_shard"]
    with (tmp_path / "said").open("w") as said:
        run = subprocess.Popen(line, cwd=tmp_path, stdout=said, stderr=said)
        locked = tmp_path / former_run.LOCKS
        until(lambda: any(locked.glob("*.output.lock")) or run.poll() is not None)
        run.kill()
        run.wait()
    stuck = house.snakemake(*line[5:])
    assert stuck.returncode != 0 and "lock" in stuck.stdout + stuck.stderr
    assert f"(process {run.pid})" in here("unlock.py", cwd=tmp_path).stdout
    house.run(*line[7:])
    assert len(list(tmp_path.glob("resources/datasets/sums/*.parquet"))) == 2
    assert not list((tmp_path / former_run.RUNS).iterdir())


def test_a_folder_that_cannot_be_written_is_named_also_to_a_dry_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as root nothing else would refuse
    for words in (["snakemake"], ["snakemake", "-np"]):
        with pytest.raises(OSError, match="Read-only file system"):
            former_run.record(words)
