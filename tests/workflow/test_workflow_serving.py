"""Experiments whose answers come from a started server: the same answers as the built-in engine's, and the same files after them."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from house import House
from places import SCRIPTS, SUPPORT

SHARE = 40  # of the 400 problems


def lines(path: Path) -> list[dict]:
    return [json.loads(one) for one in path.read_text().splitlines()]


def test_transformers_serves_the_export_and_answers_as_our_engine(embedded: House, tmp_path: Path) -> None:
    """Greedy answers; floats are summed in another order, so that one might differ."""
    experiment = embedded.path / "results/experiments/embedded"
    problems = pq.read_table(embedded.path / "resources/problems/arithmetic-heldout.parquet").slice(0, SHARE)
    pq.write_table(problems, tmp_path / "some.parquet")
    output = tmp_path / "served.jsonl"
    words = [
        "--load",
        experiment / "hf",
        "--server-python",
        sys.executable,
        "--server-engine",
        "transformers",
    ]
    # two threads for matrices this small wait for one another most of the time
    words += ["--env", "OMP_NUM_THREADS=1"]
    words += ["--max-new-tokens", 76, "--prompt-file", tmp_path / "some.parquet", "--output", output]
    command = [sys.executable, SCRIPTS / "generate_served.py", *words, "--concurrency", 8]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ours, theirs = lines(experiment / "tuned.jsonl")[:SHARE], lines(output)
    assert [one["id"] for one in theirs] == [one["id"] for one in ours]
    unlike = [(a["text"], b["text"]) for a, b in zip(ours, theirs, strict=True) if a["text"] != b["text"]]
    assert len(unlike) <= 1, unlike
    same = [one for one, a in zip(theirs, ours, strict=True) if one["text"] == a["text"]]
    like = {one["id"]: one for one in ours}
    for one in same:
        for key in ("tokens", "stop", "rendered_prompt", "seed", "prompt", "sample"):
            assert one[key] == like[one["id"]][key], key
    told = json.loads((tmp_path / "served.server.json").read_text())
    known = ("engine", "version", "asked_as", "prompts_compared_by")
    assert [told[key] for key in known] == ["transformers", version("transformers"), "text", "prompt_tokens"]


@pytest.fixture(scope="module")
def changed(finished: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """The small experiment, with a stand-in for vLLM to answer with both weights, run to its report."""
    house = finished.copied(tmp_path_factory.mktemp("served") / "house")
    seen = house.path / "seen"
    seen.mkdir()
    text = house.configfile.read_text()
    server = f"servers:\n  mine: {{engine: vllm, python: {sys.executable}, concurrency: 4}}\n"
    machine = (
        "hardware:\n  here:\n    environment:\n"
        f"      PYTHONPATH: {SUPPORT / 'standin_vllm'}\n      STANDIN_LOG: {seen}\n"
    )
    text = text.replace("      max_new_tokens: 8\n", "      max_new_tokens: 8\n      engine: mine\n")
    text = text.replace("    model: tiny\n", "    model: tiny\n    hardware: here\n")
    house.configfile.write_text(server + machine + text)
    return house


def test_an_experiment_is_answered_by_a_started_server_and_scored_as_any(changed: House) -> None:
    # the machine is another by name alone: what was trained stays
    jobs = changed.planned()
    assert jobs["generate_base_answers_served"] == jobs["generate_tuned_answers_served"] == 1
    assert not {"train", "tokenize_shard", "generate_tuned_answers", "generate_base_answers"} & jobs.keys()
    changed.run()
    folder = changed.path / "results/experiments/small"
    rows = lines(folder / "tuned.jsonl")
    assert len(rows) == 8 and {row["stop"] for row in rows} == {"length"}
    assert (folder / "report.html").is_file()
    assert json.loads((folder / "tuned.server.json").read_text())["bit_reproducible"] is False
    assert len(list((changed.path / "seen").glob("*.json"))) >= 1
    assert not changed.planned()


def test_only_what_decides_an_answer_makes_it_anew(changed: House) -> None:
    changed.run()
    with changed.replaced("experiment.yaml", "concurrency: 4", "concurrency: 9, timeout: 60, replicas: 2"):
        assert not changed.planned()
    with changed.replaced("experiment.yaml", "concurrency: 4", "args: {max_model_len: 99}"):
        jobs = changed.planned()
    assert jobs["generate_tuned_answers_served"] == jobs["generate_base_answers_served"] == 1
    assert not {"train", "convert_mcore_to_hf"} & jobs.keys()
