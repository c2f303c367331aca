"""A second stage, trained from the first one's export: it runs again when that changes, and not otherwise."""

from __future__ import annotations

import copy
from collections import Counter

import pytest
import yaml
from house import House
from places import FIXTURES

from distillery import digests

DONE = "results/experiments/second/train/done.json"
FIRST = ("convert_mcore_to_hf", "train")
# what stands between a first stage's training and the end of the second one's
BETWEEN = ("convert_hf_to_mcore", "convert_mcore_to_hf", "convert_reshard", "train")


@pytest.fixture(scope="module")
def stages(finished, tmp_path_factory) -> House:
    """The finished small experiment with a second stage trained after it."""
    house = finished.copied(tmp_path_factory.mktemp("stages") / "house")
    raw = yaml.safe_load((FIXTURES / "workflow/small.yaml").read_text())
    raw["experiments"]["second"] = copy.deepcopy(raw["experiments"]["small"]) | {
        "model": {"experiment": "small"}
    }
    house.configfile.write_text(yaml.safe_dump(raw, sort_keys=False))
    done = house.snakemake("--cores", "2", "--", DONE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not [line for line in (done.stdout + done.stderr).splitlines() if "tokenize_" in line]
    return house


def changed(house: House, experiment: str, part: str, key: str, value: object):
    raw = yaml.safe_load(house.configfile.read_text())
    raw["experiments"][experiment].setdefault(part, {})[key] = value
    return house.edited("experiment.yaml", yaml.safe_dump(raw, sort_keys=False).encode())


def planned(house: House) -> Counter[str]:
    return house.planned("--", DONE)


def test_it_starts_from_the_exported_weights(stages):
    exported = digests.read_json(stages.path / "results/experiments/small/hf/manifest.json")
    start = digests.read_json(stages.path / "results/checkpoints/small+tuned/fp32-tp2-pp1/manifest.json")
    assert start["payload_digest"] and exported["payload_digest"]
    done = [
        digests.read_json(stages.path / f"results/experiments/{name}/train/done.json")
        for name in ("small", "second")
    ]
    assert done[0]["loss"] > done[1]["loss"]
    assert planned(stages) == Counter()


def test_a_changed_first_stage_trains_the_second_again(stages):
    with changed(stages, "small", "train", "lr", 0.002):
        assert planned(stages) == Counter([*BETWEEN, "train"])


def test_the_first_ones_answers_and_the_seconds_settings_are_their_own(stages):
    with changed(stages, "small", "generate", "max_new_tokens", 9):
        assert planned(stages) == Counter()
    with changed(stages, "second", "train", "lr", 0.002):
        assert planned(stages) == Counter(["train"])
