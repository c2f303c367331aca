"""`make serve`: the export, the engine that is there, and a line that asks it."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from places import FIXTURES, ROOT, SCRIPTS, SUPPORT

from distillery.problems import Problem
from distillery.serving import hand_over

MODEL = ROOT / "config/examples/data/model"


@pytest.fixture
def line(tmp_path: Path) -> list[str]:
    """The command, for an experiment whose server is a stand-in for vLLM."""
    text = (FIXTURES / "workflow/small.yaml").read_text()
    text = text.replace("      max_new_tokens: 8\n", "      max_new_tokens: 8\n      engine: mine\n")
    text = text.replace("    model: tiny\n", "    model: tiny\n    hardware: here\n")
    text += f"servers:\n  mine: {{engine: vllm, python: {sys.executable}}}\n"
    machine = f"  here:\n    environment: {{PYTHONPATH: {SUPPORT}/standin_vllm, STANDIN_LOG: {tmp_path}}}\n"
    text = text.replace("hardware:\n", f"hardware:\n{machine}")
    (tmp_path / "small.yaml").write_text(text)
    return [sys.executable, str(SCRIPTS / "generate_serve.py"), "--configfile", str(tmp_path / "small.yaml")]


def test_the_printed_line_asks_the_export_until_ctrl_c(line, tmp_path):
    export = tmp_path / "results/experiments/small/hf"
    shutil.copytree(MODEL, export)
    (export / "manifest.json").write_text("{}")
    # as a shell starts what stands before an `&`
    ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *line]
    job = subprocess.Popen(ignoring, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    words = shlex.split(job.stdout.readline())
    assert words[0] == "curl", job.communicate()
    request = urllib.request.Request(words[1], words[-1].encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["choices"][0]["message"]["content"]
    job.send_signal(signal.SIGINT)
    _, said = job.communicate(timeout=30)
    assert job.returncode == 0 and "Traceback" not in said, said
    (facts,) = [json.loads(path.read_text()) for path in tmp_path.glob("[0-9]*.json")]
    assert not [pid for pid in facts["pids"] if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize(
    "more, words", [([], "nothing is exported yet"), (["--experiment", "other"], "which experiment?")]
)
def test_what_is_not_there_is_said(line, tmp_path, more, words):
    done = subprocess.run([*line, *more], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2) and words in done.stderr


def test_the_engine_is_the_one_that_is_installed(tmp_path):
    assert hand_over.installed(sys.executable) == "transformers"  # as the test lock has it
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys._base_executable} -I -S "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(Problem, match="no engine that serves is installed"):
        hand_over.installed(str(bare))
