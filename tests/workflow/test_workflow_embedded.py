"""The default experiment learns what it is shown to learn, and what an answer came from is known both ways."""

from __future__ import annotations

import json

import commands
import pytest

from distillery import digests, json_files

pytestmark = pytest.mark.long


def test_random_weights_learn_to_reason(embedded):
    summary = json_files.read(embedded.path / "results/experiments/embedded/summary.json")
    assert summary["base"]["n"] == summary["tuned"]["n"] >= 200
    assert summary["base"]["accuracy"] <= 0.05
    assert summary["tuned"]["accuracy"] >= 0.95


def test_afterwards_nothing_is_to_be_done(embedded):
    assert not embedded.planned()


def test_an_answer_leads_to_its_rows_and_a_row_to_its_steps(embedded):
    def trace(*words: str) -> dict:
        line = ["--configfile", "experiment.yaml", "--json", *words]
        done = commands.here("trace_generation.py", *line, cwd=embedded.path)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    answer = digests.json_lines(embedded.path / "results/experiments/embedded/tuned.jsonl")[0]
    found = trace(answer["id"])
    (training,) = found["trainings"]
    done = digests.read_json(embedded.path / "results/experiments/embedded/train/done.json")
    assert found["answer"]["right"] and (training["key"], training["step"]) == (done["key"], 1200)
    # one epoch: each of 9,600 rows once
    assert training["samples"] == sum(one["rows"] for one in training["shards"]) == 9_600
    row = training["rows"][-1]
    (use,) = trace("--row", row["uuid"])["rows"]["embedded"]
    assert use["steps"] == [row["step"]] and (use["shard"], use["row"]) == (row["shard"], row["row"])
