"""A changed setting: the run before it is kept below the experiment, and compared with the new one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from house import House

RESULTS = "results/experiments/small"


def test_a_changed_learning_rate_leaves_the_earlier_answers_scores_and_report(
    finished: House, tmp_path: Path
):
    house = finished.copied(tmp_path)
    (first,) = (house.path / RESULTS / "runs").iterdir()
    names = ("tuned.jsonl", "tuned.scores.jsonl", "report.html")
    before = {name: (house.path / RESULTS / name).read_bytes() for name in names}
    assert {name: (first / name).read_bytes() for name in names} == before
    # after four steps the model writes line ends at any rate: shorter answers are others for certain
    with (
        house.replaced("experiment.yaml", "max_new_tokens: 8", "max_new_tokens: 6"),
        house.replaced("experiment.yaml", "lr: 0.001", "lr: 0.05"),
    ):
        house.run()
    second = next(one for one in (house.path / RESULTS / "runs").iterdir() if one != first)
    now = {name: (house.path / RESULTS / name).read_bytes() for name in names}
    assert now["tuned.jsonl"] != before["tuned.jsonl"] and now["report.html"] != before["report.html"]
    assert {name: (first / name).read_bytes() for name in names} == before
    assert {name: (second / name).read_bytes() for name in names} == now
    assert not [
        one for one in house.path.glob(f"{RESULTS}/runs/**/*") if one.suffix in (".pt", ".safetensors")
    ]
    command = [sys.executable, "workflow/scripts/evaluate_runs.py", "--configfile", "experiment.yaml"]
    done = subprocess.run(
        [*command, "--experiment", "small", "--output", "runs.json"],
        cwd=house.path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"  {second.name}" in done.stdout and "the current run" in done.stdout
    assert "train.lr 0.001 (now 0.05)" in done.stdout
    (table,) = json.loads((house.path / "runs.json").read_text()).values()
    assert {row["run"] for row in table["rows"]} == {first.name, second.name}
