"""The exports under vLLM itself, by `make test-vllm`, which makes its environment: minutes and 3 GB, hence no part of `make test`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from generate_models import smollm2  # noqa: F401
from house import House
from places import SCRIPTS

PYTHON = os.environ.get("VLLM_PYTHON", "")
ARGS = {"dtype": "float32", "max_model_len": 128}


def line(load: Path, problems: Path, output: Path, *more: object) -> list[str]:
    words = ["--load", load, "--server-python", PYTHON, "--server-engine", "vllm", "--prompt-file", problems]
    words += ["--env", "VLLM_CPU_KVCACHE_SPACE=1", "--output", output, *more]
    return [sys.executable, str(SCRIPTS / "generate_served.py"), *map(str, words)]


def rows(path: Path) -> list[dict]:
    return [json.loads(one) for one in path.read_text().splitlines()]


@pytest.fixture
def asked(embedded: House, tmp_path: Path) -> tuple[list[str], list[dict], Path]:
    """The line that asks the embedded export, what our engine answered, and where the answers go."""
    experiment = embedded.path / "results/experiments/embedded"
    problems = embedded.path / "resources/problems/arithmetic-heldout.parquet"
    output = tmp_path / "served.jsonl"
    more = ["--server-args", json.dumps(ARGS), "--max-new-tokens", 76]
    return line(experiment / "hf", problems, output, *more), rows(experiment / "tuned.jsonl"), output


def test_the_embedded_export_answers_as_our_engine_and_goes_on_after_a_kill(asked, tmp_path):
    command, ours, output = asked
    job = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    journal = output.with_name(f".{output.name}.journal")
    until = time.monotonic() + 900
    while not journal.is_file() or journal.read_bytes().count(b"\n") < 50:
        assert job.poll() is None and time.monotonic() < until, job.communicate()
        time.sleep(0.02)
    job.send_signal(signal.SIGKILL)
    job.communicate()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(re.search(r"continuing after (\d+) of 400", done.stderr)[1]) >= 40
    theirs = rows(output)
    unlike = [(a["text"], b["text"]) for a, b in zip(ours, theirs, strict=True) if a["text"] != b["text"]]
    assert len(unlike) <= 1, unlike
    told = json.loads(output.with_name("served.server.json").read_text())
    assert (told["engine"], told["asked_as"], told["prompts_compared_by"]) == ("vllm", "ids", "tokenize")
    log = "".join(path.read_text() for path in tmp_path.rglob("server_*.log"))
    assert "chat template" not in "".join(one for one in log.splitlines() if "ERROR" in one)


def test_smollm2_is_served_and_reads_our_ids(smollm2, tmp_path):  # noqa: F811
    problems, output = tmp_path / "p.jsonl", tmp_path / "served.jsonl"
    problems.write_text(json.dumps({"id": "a", "prompt": "What is 2 + 2?"}) + "\n")
    more = ["--server-args", json.dumps(ARGS | {"max_model_len": 256}), "--prompt-type", "chatml"]
    done = subprocess.run(
        line(smollm2, problems, output, *more, "--max-new-tokens", 16, "--seq-length", 256), check=False
    )
    assert done.returncode == 0
    (one,) = rows(output)
    assert one["tokens"] and one["text"]
    assert json.loads(output.with_name("served.server.json").read_text())["prompts_compared_by"] == "tokenize"
