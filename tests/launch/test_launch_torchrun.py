"""The launcher drives the real torchrun for MindSpeed-LLM's PyTorch back end: two ranks on a CPU that talk through gloo.

They train a number in a way that any lost or repeated step would change; killed and resumed, it ends the same.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from places import ROOT, SUPPORT

from distillery.launch import job_end, torchrun
from distillery.launch.msrun import Job

LAUNCH = [sys.executable, str(ROOT / "workflow/scripts/launch.py"), "--framework", "pytorch"]
STANDIN = str(SUPPORT / "standin_worker.py")
TRAINER = """
import json, os, signal, sys, time
from pathlib import Path
import torch, torch.distributed as dist
dist.init_process_group("gloo")
rank, place, stopped = dist.get_rank(), Path(sys.argv[1]), []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
state = json.loads(place.read_text()) if place.exists() else {"iteration": 0, "value": 1.0}
while state["iteration"] < 30:
    share = torch.tensor([state["value"] * (rank + 1) / 7, float(bool(stopped))])
    dist.all_reduce(share)
    state = {"iteration": state["iteration"] + 1, "value": 0.5 + float(share[0])}
    time.sleep(0.05)
    if rank == 1:
        print(f" iteration {state['iteration']:8d}/      30 | lm loss: {state['value']:.6E} |", flush=True)
    if rank == 0 and (share[1] or state["iteration"] % 5 == 0):
        made = place.with_suffix(".new")
        made.write_text(json.dumps(state))
        os.replace(made, place)
    if share[1]:
        break
dist.destroy_process_group()
"""


def line(tmp_path: Path, worker: str, *arguments: str, flags: tuple[str, ...] = ()) -> list[str]:
    words = [*LAUNCH, "--workers", 2, "--log-dir", tmp_path / "lo gs", *flags, "--", worker, *arguments]
    return list(map(str, words))


def launch(tmp_path: Path, *arguments: str, worker: str = STANDIN) -> subprocess.CompletedProcess[str]:
    words = line(tmp_path, worker, *arguments)
    return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)


def whole() -> dict[str, object]:
    """What a run leaves that nobody stops, reckoned here: both ranks' shares and their sum in single precision."""
    value = 1.0
    for _ in range(30):
        value = 0.5 + float(np.float32(value / 7) + np.float32(value * 2 / 7))
    return {"iteration": 30, "value": value}


def begun(words: list[str], folder: Path, step: int) -> subprocess.Popen[str]:
    """A launch that has just shown a step."""
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for shown in process.stdout:
        if f"iteration {step:8d}/" in shown:
            return process
    raise AssertionError(process.stderr.read())


@pytest.mark.slow
@pytest.mark.faults
def test_two_ranks_are_stopped_and_killed_and_resumed_to_the_same_number(tmp_path, pytestconfig):
    """By SIGTERM, which is passed on, then by SIGKILL, which saves nothing: all at once, as in a loss of power; with --whole one rank, too."""
    place, trainer = tmp_path / "broken.json", tmp_path / "train.py"
    trainer.write_text(TRAINER)
    words = line(tmp_path, str(trainer), str(place))
    process = begun(words, tmp_path, 3)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 3, said
    assert "stopped by SIGTERM, and the workers saved their state" in said
    assert 3 <= json.loads(place.read_text())["iteration"] < 13
    kills = ((13, False), (21, True))
    for step, everything in kills if pytestconfig.getoption("whole") else kills[1:]:
        process = begun(words, tmp_path, step)
        started = psutil.Process(process.pid).children(recursive=True)
        ranks = {one.environ()["RANK"]: one for one in started if one.cmdline()[1:2] == [str(trainer)]}
        assert sorted(ranks) == ["0", "1"] and len(started) == 3  # torchrun, and two that the shell became
        for one in [process, *started] if everything else [ranks["1"]]:
            one.send_signal(signal.SIGKILL)
        _, said = process.communicate(timeout=60)
        if everything:
            assert process.returncode == -signal.SIGKILL
        else:
            assert process.returncode == 1 and "rank 1 was killed by SIGKILL" in said
        reached = json.loads(place.read_text())["iteration"]
        assert step - 3 <= reached < 30 and reached % 5 == 0
    again = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == 0, again.stderr
    assert f"iteration {reached + 1:8d}/" in again.stdout and f"iteration {reached:8d}/" not in again.stdout
    assert "iteration       30/      30" in again.stdout  # the rank that holds the loss is shown
    assert json.loads(place.read_text()) == whole()


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        ("fail", "rank 1 failed first"),
        ("killed", "rank 1 was killed by SIGKILL"),
    ],
)
def test_the_rank_that_ended_badly_is_named(tmp_path, outcome, message):
    done = launch(tmp_path, "--outcome", outcome)
    assert done.returncode == 1
    assert message in done.stderr, done.stderr
    assert "worker_1.log" in done.stderr


def test_one_worker_needs_no_torchrun():
    assert torchrun.command(Job(("a.py", "--b"), Path("/l")), "/py") == ["/py", "a.py", "--b"]


def test_torchrun_is_told_the_world_and_logs_lie_where_msruns_would():
    job = Job(("a.py", "x y"), Path("/l o"), 8, nodes=2, node_rank=1, master_addr="n0", master_port=6000)
    words = torchrun.command(job, "/py/python")
    told = ["--nnodes=2", "--nproc-per-node=8", "--node-rank=1", "--master-addr=n0", "--master-port=6000"]
    assert words[:3] == ["/py/python", "-m", "torch.distributed.run"] and set(told) <= set(words)
    shell = words[words.index("sh") :]
    shell[shell.index("/py/python")] = "echo"
    (text,) = [word for word in shell if "worker_" in word]
    assert shlex.split(text.partition(">")[2])[0] == "/l o/worker_$RANK.log"
    shell[shell.index(text)] = text.partition(" >")[0]
    asked = subprocess.run(shell, capture_output=True, text=True, env={**os.environ, "RANK": "9"}, check=True)
    assert asked.stdout == "a.py x y\n"


def test_both_forms_of_torchruns_words_about_an_end():
    said = """\
E1128 failed (exitcode: -9) local_rank: 1 (pid: 4711) of binary: sh
  exitcode  : 3 (pid: 4712)
"""
    assert job_end.exits(said, {4711: 1, 4712: 0}) == {1: -9, 0: 3}
