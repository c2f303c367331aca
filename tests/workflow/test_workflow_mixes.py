"""A mix of two datasets through the rules: another share trains again, and tokenizes nothing."""

from __future__ import annotations

import copy
import json

import pytest
import yaml
from house import House
from places import FIXTURES

DONE = "results/experiments/small/train/done.json"
MORE = {"source": {"generator": {"seed": 9, "shards": 1, "rows_per_shard": 40}}}


@pytest.fixture(scope="module")
def mixed(finished, tmp_path_factory) -> House:
    """The finished small experiment, trained anew on its dataset and another one."""
    house = finished.copied(tmp_path_factory.mktemp("mixed") / "house")
    raw = copy.deepcopy(yaml.safe_load((FIXTURES / "workflow/small.yaml").read_text()))
    raw["datasets"]["more"] = MORE
    raw["experiments"]["small"]["dataset"] = [
        {"name": "sums", "weight": 0.75},
        {"name": "more", "weight": 0.25},
    ]
    house.configfile.write_text(yaml.safe_dump(raw, sort_keys=False))
    done = house.snakemake("--cores", "2", "--", DONE)
    assert done.returncode == 0, done.stdout + done.stderr
    return house


def test_each_step_takes_its_share_of_both(mixed):
    done = json.loads((mixed.path / DONE).read_text())
    assert [(one["dataset"], one["samples"]) for one in done["mix"]] == [("sums", 12), ("more", 4)]


def test_another_weight_trains_again_and_tokenizes_nothing(mixed):
    assert not mixed.planned("--", DONE)
    with mixed.replaced("experiment.yaml", "weight: 0.75", "weight: 0.5"):
        assert mixed.planned("--", DONE) == {"train": 1}
