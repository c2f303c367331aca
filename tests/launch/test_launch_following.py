"""What a launch tells of a training by lines in its ranks' logs."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from distillery import progress
from distillery.launch import launcher
from distillery.launch.following import Elsewhere, Follower
from distillery.launch.launch_request import Request

LINE = (
    " [2025-09-01 12:00:00] iteration        3/      30 | consumed samples:           24 | "
    "elapsed time per iteration (ms): 10.0 | lm loss: 5.000000E-01 |\n"
)


@pytest.mark.parametrize(
    ("worker", "speed"),
    [
        (("posttrain_gpt.py", "--seq-length", "128"), "102400 tokens/s"),
        (("posttrain_gpt.py", "--seq-length", "128", "--variable-seq-lengths"), "800.0 samples/s"),
        (("of_others.py", "--seq-length", "8k"), "800.0 samples/s"),
        (("of_others.py", "--seq-length"), "800.0 samples/s"),
    ],
)
def test_the_speed_is_in_tokens_where_rows_have_one_length(tmp_path: Path, worker, speed):
    log = tmp_path / "worker_0.log"
    log.write_text(LINE)
    Follower({0: log}, str, dict, worker).look(final=True)
    assert progress.current().line() == f"3/30 steps  loss 0.5000  {speed}"


def test_a_log_of_an_earlier_attempt_is_no_progress(tmp_path: Path):
    progress.begin("")
    log = tmp_path / "worker_3.log"
    log.write_text(LINE.replace(" 3/", "29/"))
    last = Elsewhere(log, ("posttrain_gpt.py", "--seq-length", "128"))
    last.look()
    assert progress.current().line() == ""
    (tmp_path / "previous").mkdir()
    log.rename(tmp_path / "previous/worker_3.log")
    last.look()
    log.write_text(LINE)
    last.look()
    assert progress.current().line() == "3/30 steps  loss 0.5000  102400 tokens/s"
    with log.open("a") as stream:
        stream.write(LINE.replace(" 3/", " 4/"))
    last.look()
    assert progress.current().line().startswith("4/30 steps  loss 0.5000  76800 tokens/s")


SRUN = """#!/bin/sh
printf '%s\\n' "$*" > asked
cat line > logs/worker_3.log
while [ ! -e seen ]; do sleep 0.1; done
exit 0
"""


def test_a_job_on_several_nodes_tells_what_its_last_rank_prints(tmp_path: Path, monkeypatch):
    """srun is played: of two nodes with two ranks each the last one holds the loss."""
    progress.begin("")
    (tmp_path / "srun").write_text(SRUN)
    (tmp_path / "srun").chmod(0o755)
    (tmp_path / "logs").mkdir()
    (tmp_path / "line").write_text(LINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.delenv("SLURM_STEP_NODELIST", raising=False)
    worker = ("posttrain_gpt.py", "--seq-length", "128")
    wanted = Request(worker=worker, log_dir=Path("logs"), workers=2, nodes=2)
    job = threading.Thread(target=launcher.start, args=(wanted,))
    job.start()
    until = time.monotonic() + 20
    while progress.current().line() == "" and time.monotonic() < until:
        time.sleep(0.05)
    (tmp_path / "seen").touch()
    job.join()
    assert progress.current().line() == "3/30 steps  loss 0.5000  102400 tokens/s"
    assert (tmp_path / "asked").read_text().startswith("--nodes=2 --ntasks=2")
