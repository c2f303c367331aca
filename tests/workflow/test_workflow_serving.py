"""Experiments whose answers come from a started server: the same files after them, and a run that is killed goes on."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from commands import here
from house import House
from places import SUPPORT


def lines(path: Path) -> list[dict]:
    return [json.loads(one) for one in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def changed(finished: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """The small experiment, with a stand-in for vLLM to answer with both weights."""
    house = finished.copied(tmp_path_factory.mktemp("served") / "house")
    seen = house.path / "seen"
    seen.mkdir()
    text = house.configfile.read_text()
    server = f"servers:\n  mine: {{engine: vllm, python: {sys.executable}, concurrency: 4}}\n"
    machine = (
        "hardware:\n  here:\n    threads: 1\n    environment:\n"
        f"      PYTHONPATH: {SUPPORT / 'standin_vllm'}\n      STANDIN_LOG: {seen}\n"
    )
    text = text.replace("      max_new_tokens: 8\n", "      max_new_tokens: 8\n      engine: mine\n")
    text = text.replace("    model: tiny\n", "    model: tiny\n    hardware: here\n")
    house.configfile.write_text(server + text.replace("hardware:\n", machine))
    return house


@pytest.fixture(scope="module")
def jobs(changed: House) -> Counter[str]:
    """What was due in it, and was then run."""
    due = changed.planned()
    changed.run()
    return due


def test_an_experiment_is_answered_by_a_started_server_and_scored_as_any(
    changed: House, jobs: Counter[str]
) -> None:
    # the machine is another by name alone: what was trained stays
    assert jobs["generate_base_answers_served"] == jobs["generate_tuned_answers_served"] == 1
    assert not {"train", "tokenize_shard", "generate_tuned_answers", "generate_base_answers"} & jobs.keys()
    folder = changed.path / "results/experiments/small"
    rows = lines(folder / "tuned.jsonl")
    assert len(rows) == 8 and {row["stop"] for row in rows} == {"length"}
    assert (folder / "report.html").is_file()
    assert json.loads((folder / "tuned.server.json").read_text())["bit_reproducible"] is False
    assert len(list((changed.path / "seen").glob("*.json"))) >= 1
    assert not changed.planned()


@pytest.mark.usefixtures("jobs")
def test_only_what_decides_an_answer_makes_it_anew(changed: House) -> None:
    with changed.replaced("experiment.yaml", "concurrency: 4", "concurrency: 9, timeout: 60, replicas: 2"):
        assert not changed.planned()
    with changed.replaced("experiment.yaml", "concurrency: 4", "args: {max_model_len: 99}"):
        jobs = changed.planned()
    assert jobs["generate_tuned_answers_served"] == jobs["generate_base_answers_served"] == 1
    assert not {"train", "convert_mcore_to_hf"} & jobs.keys()


@pytest.mark.usefixtures("jobs")
def test_a_run_that_is_killed_amid_its_answers_goes_on_and_asks_none_twice(changed: House) -> None:
    folder = changed.path / "results/experiments/small"
    seen = {path: path.read_text() for path in (changed.path / "seen").glob("*.seeds")}
    with changed.replaced("experiment.yaml", "concurrency: 4", "concurrency: 1, args: {seconds: 0.5}"):
        line = [sys.executable, "-m", "snakemake", "--configfile", str(changed.configfile), "--cores", "1"]
        line += ["--until", "generate_tuned_answers_served"]
        run = subprocess.Popen(line, cwd=changed.path, stderr=subprocess.DEVNULL, start_new_session=True)
        journal = folder / ".tuned.jsonl.journal"
        while not journal.is_file() or journal.read_bytes().count(b"\n") < 4:
            assert run.poll() is None
            time.sleep(0.02)
        os.killpg(run.pid, signal.SIGKILL)  # Snakemake, its job's shell and the job: not the server
        run.wait()
        assert here("unlock.py", cwd=changed.path).returncode == 0
        changed.run(*line[-2:])
    assert len(lines(folder / "tuned.jsonl")) == 8
    (log,) = changed.path.glob("logs/small/generate_tuned*.log")
    kept = int(re.search(r"continuing after (\d+) of 8", log.read_text())[1])
    assert 3 <= kept < 8
    asked = Counter()
    for path in (changed.path / "seen").glob("*.seeds"):
        told = path.read_text().removeprefix(seen.get(path, ""))
        asked += Counter(one.split()[0] for one in told.splitlines() if one.split()[1] != "1")
    # the one that was on its way is asked again, with the same seed
    assert len(asked) == 8 and asked.total() <= 9


def test_a_second_run_may_have_other_answers_of_servers_and_nothing_else(
    changed: House, tmp_path: Path
) -> None:
    changed.run()
    for top in ("resources", "results"):
        shutil.copytree(changed.path / top, tmp_path / top, symlinks=True)
    own = "results/experiments/small"
    for name in ("tuned.jsonl", "summary.json"):
        (tmp_path / own / name).write_text("another")
    done = changed.verify("--against", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (
        f"2 are not, which follow from a server's answers: {own}/summary.json, {own}/tuned.jsonl"
        in done.stdout
    )
    (tmp_path / own / "hf/config.json").write_text("another")
    (tmp_path / own / "tuned.scores.jsonl").unlink()
    done = changed.verify("--against", str(tmp_path))
    assert done.returncode == 1 and "2 of " in done.stderr
    assert (
        f"{own}/hf/config.json: " in done.stderr
        and f"{own}/tuned.scores.jsonl: only in one run" in done.stderr
    )
