"""The plan against this machine: disk, memory, devices, and what of them stops a run."""

from __future__ import annotations

from pathlib import Path

import yaml
from places import ROOT

from distillery import config
from distillery.planning.checks import machine_checks
from distillery.planning.experiment_setup import gather


def test_host_checks_compare_the_plan_with_this_machine(tmp_path):
    loaded = config.load(yaml.safe_load((ROOT / "config/qwen2.5-math-7b.yaml").read_text()))
    setup = gather(loaded, "qwen2.5-math-7b")
    (lack,) = machine_checks.disk([setup], 100e9, tmp_path)
    assert lack.id == "disk" and "for 100.0 GB free" in lack.found
    assert list(machine_checks.disk([setup], 500e9, tmp_path)) == []
    sparse(tmp_path / "results/experiments/another/train/work/checkpoint", 430)
    assert list(machine_checks.disk([setup], 100e9, tmp_path)) == [
        lack
    ]  # of another configuration: no part of this need
    sparse(tmp_path / "results/experiments/qwen2.5-math-7b/train/work/checkpoint", 430)
    assert list(machine_checks.disk([setup], 100e9, tmp_path)) == []
    assert {one.severity for one in machine_checks.memory(setup, 2**26)} == {"error", "warning"}
    (training,) = machine_checks.memory(setup, 64 * 2**30)
    assert training.severity == "warning" and training.found.startswith("train takes about 129")
    assert list(machine_checks.memory(setup, 256 * 2**30)) == []
    assert [one.found for one in machine_checks.npus(setup, {"ASCEND_RT_VISIBLE_DEVICES": "0,1"})] == [
        "8 for train, 2 visible",
        "8 for generate, 2 visible",
    ]
    assert [one.found for one in machine_checks.npus(setup, {"ASCEND_RT_VISIBLE_DEVICES": "0"})] == [
        "8 for train, 1 visible",
        "8 for generate, 1 visible",
    ]
    assert list(machine_checks.npus(setup, {"ASCEND_RT_VISIBLE_DEVICES": "0,1,2,3,4,5,6,7"})) == []


def sparse(path: Path, gigabytes: int) -> None:
    """A file of that size without its blocks: it counts as written."""
    path.parent.mkdir(parents=True)
    with path.open("wb") as stream:
        stream.truncate(gigabytes * 10**9)


def test_a_sweep_needs_its_shared_files_once(tmp_path):
    raw = yaml.safe_load((ROOT / "config/qwen2.5-math-7b.yaml").read_text())
    (alone,) = machine_checks.disk([gather(config.load(raw), "qwen2.5-math-7b")], 0, tmp_path)
    assert alone.found.startswith("about 486.4 GB")
    raw["experiments"]["qwen2.5-math-7b"]["sweep"] = {"train.lr": [1e-5, 5e-5]}
    loaded = config.load(raw)
    (both,) = machine_checks.disk([gather(loaded, name) for name in loaded.experiments], 0, tmp_path)
    # another training and export, 426.5 and 15.2 GB, and 0.1 GB of answers
    assert both.found.startswith("about 928.3 GB")
