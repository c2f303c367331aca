"""A training that diverged, under Snakemake's retries: trained once, refused until something changes."""

from __future__ import annotations

import json
from pathlib import Path

from house import House


def test_retries_of_a_diverged_training_stop_at_once_until_something_changes(finished: House, tmp_path: Path):
    house = finished.copied(tmp_path)
    with house.replaced("experiment.yaml", "lr: 0.001", "lr: 1.0e+30"):
        failed = house.snakemake("--cores", "2", "--retries", "1", "finetune")
    said = failed.stdout + failed.stderr
    assert failed.returncode == 1 and said.count("Error in rule train") == 2, said
    log = (house.path / "logs/small/train.log").read_text()
    assert "training diverged at step 3" in log
    assert "epochs" not in log  # which a run that trains says first
    (marker,) = (house.path / "results/experiments/small/train/work").glob("*/diverged.json")
    assert json.loads(marker.read_text())["iteration"] == 3
    with house.replaced("experiment.yaml", "lr: 0.001", "lr: 0.002"):
        house.run("--retries", "3", "finetune")
    assert (
        json.loads((house.path / "results/experiments/small/train/done.json").read_text())["iteration"] == 4
    )
    assert "epochs" in (house.path / "logs/small/train.log").read_text()
