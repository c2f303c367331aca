"""The launcher drives the real msrun with a worker that imitates MindSpeed-LLM: every ending is told truthfully.

Where a launch is not `started`, launch.py, msrun and its ranks are forked (tests/support/forking_msrun.py).
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import forked
import pytest
from places import ROOT, SUPPORT

pytestmark = pytest.mark.msrun

LAUNCH = [sys.executable, str(ROOT / "workflow/scripts/launch.py")]
WORKER = str(SUPPORT / "standin_worker.py")


def words(*worker, flags=()):
    return list(map(str, ["--log-dir", "logs", *flags, "--", WORKER, *worker]))


def launch(tmp_path, *worker, flags=()):
    return forked.run("launch.py", *words(*worker, flags=flags), cwd=tmp_path, timeout=120)


def started(tmp_path, *worker, flags=()):
    line = [*LAUNCH, *words(*worker, flags=flags)]
    return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=120)


def left_over(tmp_path):
    """Processes that still name this test's folder, or work in it, as found in /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().decode()
                where = os.readlink(entry / "cwd")
            except OSError:
                continue
            if str(tmp_path) in line + where:
                found.append(f"{where}: {line}")
    return found


def test_success_is_shown_parsed_and_proved(tmp_path):
    flags = [
        "--workers",
        "4",
        "--env",
        "HCCL_CONNECT_TIMEOUT=1800",
        "--metrics",
        "metrics.jsonl",
        "--expect",
        "out",
    ]
    done = started(tmp_path, "--output", "out", flags=flags)
    assert done.returncode == 0, done.stderr
    # the last rank holds the loss, and only its lines are shown
    assert "rank 3 HCCL 1800" in done.stdout
    assert "rank 0 HCCL" not in done.stdout
    assert "lm loss: 2.000000E-01" in done.stdout
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = {record["iteration"]: record["loss"] for record in records if "loss" in record}
    assert losses == pytest.approx({1: 1.0, 2: 0.5, 3: 1 / 3, 4: 0.25, 5: 0.2}, rel=1e-6)
    assert {record["memory_megabytes"] for record in records if "rank" in record} == {200, 201, 202, 203}
    # the printed lines do the same by hand
    lines = done.stdout.split("\n\n")[0]
    again = subprocess.run(
        ["bash", "-e"], input=lines, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (
            "fail",
            r"rank 3 failed first \(status 1\)\n  where: +\S*worker_3.log\n  found: +RuntimeError: HCCL AllReduce",
        ),
        ("silent", r"rank 3 ended with status 7 without a word\n  where: +\S*worker_3.log"),
        ("killed", r"rank 3 was killed by SIGKILL\n  where: +\S*worker_3.log"),
        (
            "vanish",
            r"every rank ended with status 0, but training did not reach its end(.*\n)*.*iteration 2 of 5",
        ),
    ],
)
def test_each_bad_end_is_told_apart(tmp_path, outcome, message):
    done = launch(tmp_path, "--outcome", outcome, "--pause", "0.4", flags=["--workers", "4"])
    assert done.returncode == 1
    assert re.search(message, done.stderr), done.stderr
    assert not left_over(tmp_path)


def test_a_hung_job_is_killed_and_each_ranks_last_words_told(tmp_path):
    done = launch(tmp_path, "--outcome", "hang", flags=["--workers", "2", "--stall-timeout", "9"])
    assert done.returncode == 1
    assert "the job hung: no rank wrote a line for 9 s" in done.stderr
    assert "worker_0.log: [Rank 0]" in done.stderr
    assert "worker_1.log:  [2025-09-01 12:00:02] iteration        2" in done.stderr
    assert not left_over(tmp_path)


def test_success_without_the_result_is_no_success(tmp_path):
    done = launch(tmp_path, flags=["--expect", "never"])
    assert done.returncode == 1
    assert "every rank ended with status 0, but the result is not there" in done.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_a_signal_gives_the_workers_time_to_save(tmp_path, workers):
    worker = ["--outcome", "slow", "--steps", "200", "--pause", "0.2", "--late", "3"]
    line = [*LAUNCH, *words(*worker, flags=["--workers", workers])]
    with subprocess.Popen(
        line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for shown in process.stdout:
            if "iteration        2" in shown:
                break
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "stopped by SIGTERM, and the workers saved their state" in err
    logs = [(tmp_path / f"logs/worker_{rank}.log").read_text() for rank in range(workers)]
    # all of them, though msrun kills the others as soon as one ends with another status than 0
    assert all("saved checkpoint" in log for log in logs)
    assert not left_over(tmp_path)


def test_a_log_folder_in_use_is_refused_and_its_job_goes_on(tmp_path):
    line = words("--steps", "8", "--pause", "0.5", flags=["--workers", "2"])
    first = forked.start("launch.py", *line, cwd=tmp_path)
    first.until("iteration        2")
    second = forked.run("launch.py", *line, cwd=tmp_path, timeout=60)
    rest, _ = first.communicate(timeout=60)
    assert second.returncode == 1
    assert "another launch is using this folder for its ranks' logs" in second.stderr
    assert first.returncode == 0
    assert "iteration        8" in rest
    assert not (tmp_path / "logs/previous").exists()


def test_each_log_has_a_folder_of_its_own_beside_it(tmp_path):
    line = ["--workers", "2", "--", sys.executable, WORKER, "--log", "logs/e/train.log"]
    done = forked.run("launch.py", *line, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "logs/e/msrun_train"
    assert {f"worker_{rank}.log" for rank in range(2)} <= {path.name for path in folder.iterdir()}
    nowhere = forked.run("launch.py", "--", WORKER, cwd=tmp_path)
    assert nowhere.returncode == 2
    assert "no folder for the ranks' logs" in nowhere.stderr


def test_workers_outlive_msrun_to_save(tmp_path):
    """Slurm signals every process of a step at its time limit, msrun too, which simply dies."""
    line = words("--outcome", "slow", "--steps", "200", "--pause", "0.5", flags=["--workers", "2"])
    process = forked.start("launch.py", *line, cwd=tmp_path)
    process.until("iteration        2")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGTERM)
    for child in children:
        os.kill(int(child), signal.SIGTERM)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 3, err


def test_ranks_that_never_meet(tmp_path):
    worker = tmp_path / "meet.py"
    worker.write_text(
        "from mindspore.communication import init\nimport mindspore\nmindspore.set_device('CPU')\ninit()\n"
    )
    # this machine is node 0, and nobody starts node 1
    flags = ["--nodes", "2", "--master-addr", socket.gethostname(), "--cluster-time-out", "6"]
    line = ["--log-dir", tmp_path / "logs", "--master-port", _free_port(), *flags, "--", worker]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
    done = forked.run("launch.py", *line, timeout=120, env=environment)
    assert done.returncode == 1
    assert "the ranks did not find one another in time" in done.stderr, done.stderr


def _free_port():
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def test_set_env_is_sourced_and_another_attempts_logs_are_kept(tmp_path):
    script = tmp_path / "set_env.sh"
    script.write_text("echo sourced $1\nexport HCCL_CONNECT_TIMEOUT=$1\n")
    for value in ("7", "8"):
        done = launch(tmp_path, flags=["--set-env", f"{script} {value}"])
        assert done.returncode == 0, done.stderr
        assert f"HCCL {value}" in done.stdout
    assert "HCCL 7" in (tmp_path / "logs/previous/worker_0.log").read_text()
    missing = launch(tmp_path, flags=["--set-env", "/nowhere/set_env.sh"])
    assert missing.returncode == 1
    assert "a script to source is not there" in missing.stderr


def test_pasteable_lines_quote_what_needs_it(tmp_path):
    done = launch(tmp_path, "--outcome", "it's", flags=["--print-only", "--workers", "2", "--env", "A=b c"])
    assert "export A='b c'" in done.stdout
    assert "--outcome 'it'\"'\"'s'" in done.stdout
    assert not (tmp_path / "logs").exists()
