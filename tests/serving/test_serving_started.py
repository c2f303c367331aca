"""Servers that a job starts: their lines, devices, errors, and that they end with the job, however that ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from alive import gone
from places import ROOT, SCRIPTS, SUPPORT

from distillery.problems import Problem
from distillery.serving import started
from distillery.serving.started import Wanted

MODEL = ROOT / "config/examples/data/model"
COUNT = 40


@pytest.fixture
def line(tmp_path: Path) -> list[str]:
    """The command, with a stand-in for vLLM."""
    prompts = tmp_path / "prompts.jsonl"
    rows = [{"id": f"p{i}", "prompt": f"What is {i} plus {i}?"} for i in range(COUNT)]
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "seen").mkdir()
    words = ["--load", MODEL, "--server-python", sys.executable, "--server-engine", "vllm"]
    words += ["--env", f"PYTHONPATH={SUPPORT / 'standin_vllm'}", "--env", f"STANDIN_LOG={tmp_path / 'seen'}"]
    words += ["--prompt-type", "qwen_math_r1", "--max-new-tokens", 200, "--prompt-file", prompts]
    words += ["--output", tmp_path / "answers.jsonl"]
    return [sys.executable, str(SCRIPTS / "generate_served.py"), *map(str, words)]


def seen(tmp_path: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted((tmp_path / "seen").glob("*.json"))]


def seeds(tmp_path: Path) -> Counter[str]:
    """How often each was asked, the probe for one token aside."""
    lines = [one for path in (tmp_path / "seen").glob("*.seeds") for one in path.read_text().splitlines()]
    return Counter(one.split()[0] for one in lines if one.split()[1] != "1")


def wait_for(what, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.slow
def test_replicas_have_devices_of_their_own_share_the_questions_and_end_with_the_job(line, tmp_path):
    more = ["--replicas", "2", "--devices", "2", "--server-args", '{"seconds": 0.02}', "--concurrency", "4"]
    done = subprocess.run([*line, *more], capture_output=True, text=True, env=numbered(), check=False)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == COUNT
    one, two = seen(tmp_path)
    assert sorted(one["devices"].split(",") + two["devices"].split(",")) == ["4", "5", "6", "7"]
    assert one["size"] == two["size"] == 2
    assert gone([*one["pids"], *two["pids"]], 0)
    assert seeds(tmp_path).total() == COUNT
    told = json.loads((tmp_path / "answers.server.json").read_text())
    assert (told["engine"], told["version"], told["model"]) == ("vllm", "0.32.0", started.SERVED)
    assert "-m vllm.entrypoints.openai.api_server --model" in done.stderr  # to be pasted


def numbered() -> dict[str, str]:
    return os.environ | {"ASCEND_RT_VISIBLE_DEVICES": "4,5,6,7"}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_a_job_that_is_ended_leaves_no_server_and_goes_on_where_it_was(line, tmp_path, number):
    more = ["--server-args", '{"seconds": 0.1}', "--concurrency", "2"]
    job = subprocess.Popen([*line, *more], stderr=subprocess.PIPE, text=True)
    wait_for(lambda: seeds(tmp_path).total() >= 8)
    job.send_signal(number)
    _, said = job.communicate()
    assert job.returncode == (-9 if number == signal.SIGKILL else 3), said
    (facts,) = seen(tmp_path)
    assert gone(facts["pids"])
    kept = len((tmp_path / ".answers.jsonl.journal").read_text().splitlines()) - 1
    assert 4 <= kept < COUNT
    done = subprocess.run([*line, *more], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and f"continuing after {kept} of {COUNT}" in done.stderr
    asked = seeds(tmp_path)
    # those that were on their way when it ended are asked again, with the same seed
    assert len(asked) == COUNT and asked.total() <= COUNT + 2
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == COUNT


def test_the_first_error_of_a_server_that_does_not_start_is_the_jobs(line, tmp_path):
    done = subprocess.run(
        [*line, "--server-args", '{"fail": true}'], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "a started server ended with status 1" in done.stderr
    assert "ValueError: no room for the cache" in done.stderr and "server_0.log" in done.stderr


@pytest.mark.slow
def test_a_server_that_ends_later_ends_the_job(line, tmp_path):
    job = subprocess.Popen(
        [*line, "--server-args", '{"seconds": 0.2}', "--concurrency", "1"], stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: seeds(tmp_path).total() >= 2)
    (facts,) = seen(tmp_path)
    os.kill(facts["pids"][0], signal.SIGKILL)
    _, said = job.communicate(timeout=30)
    assert job.returncode == 1 and "a started server ended with status 137" in said
    assert gone(facts["pids"])


def wanted(engine: str, devices: int = 0) -> Wanted:
    return Wanted(engine, "/opt/x/bin/python", Path("/m"), {"max_model_len": 512}, 1, devices, Path("/l"), 9)


def test_lines_of_the_engines():
    ends = "--host 127.0.0.1 --port 18200 --max-model-len 512"
    assert " ".join(started.line(wanted("vllm", 8), 18200)) == (
        "/opt/x/bin/python -m vllm.entrypoints.openai.api_server --model /m --served-model-name distillery "
        f"--tensor-parallel-size 8 {ends}"
    )
    assert " ".join(started.line(wanted("sglang"), 18200)) == (
        f"/opt/x/bin/python -m sglang.launch_server --model-path /m --served-model-name distillery {ends}"
    )
    assert " ".join(started.line(wanted("transformers"), 18200)) == (
        f"/opt/x/bin/python -m transformers.cli.transformers serve /m {ends}"
    )
    with pytest.raises(Problem, match="no engine that can be started"):
        started.line(wanted("openai"), 18200)
