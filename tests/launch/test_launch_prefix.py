"""What a rule asks a scheduler for, and what it puts before its command, for each kind of machine."""

import argparse
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from places import ROOT

from distillery import config
from distillery.launch import launch_request, prefix
from distillery.planning import estimate

RAW = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


def experiment(**hardware):
    """The embedded experiment on another machine."""
    raw = {**RAW, "hardware": {"here": hardware}}
    raw["experiments"] = {"embedded": {**RAW["experiments"]["embedded"], "hardware": "here"}}
    return config.load(raw).experiments["embedded"]


def test_a_laptop_starts_its_commands_directly():
    one = experiment()
    assert prefix.line(one, "train", ["launch"]) == ""
    assert prefix.resources(one, "train") == {
        "npu": 0,
        "npus_per_node": 0,
        "gres": "",
        "nodes": 1,
        "tasks": 1,
        "mpi": "",
    }


def test_ranks_on_a_cpu_take_no_devices_unless_a_cluster_is_asked_for_them():
    assert prefix.resources(experiment(npus_per_node=2), "train")["npu"] == 0
    assert "--workers 2" in prefix.line(experiment(npus_per_node=2), "train", ["launch"])
    assert prefix.resources(experiment(npus_per_node=2, gres="npu:910b"), "train")["gres"] == "npu:910b:2"


def test_two_ascend_nodes():
    one = experiment(
        device="Ascend",
        chip="910B3",
        npus_per_node=8,
        nodes=2,
        node_rank=1,
        master_addr="10.0.0.1",
        set_env=["/x/nnal/set_env.sh --cxx_abi=0"],
        environment={"HCCL_CONNECT_TIMEOUT": 7200},
        deterministic=True,
    )
    assert prefix.resources(one, "train") == {
        "npu": 16,
        "npus_per_node": 8,
        "gres": "npu:8",
        "nodes": 2,
        "tasks": 2,
        "mpi": "srun",
    }
    words = shlex.split(prefix.line(one, "train", ["launch"]))
    assert words[-1] == "--"
    for pair in ("--npus 8", "--nodes 2", "--node-rank 1", "--master-addr 10.0.0.1"):
        assert pair in " ".join(words)
    assert "--set-env=/x/nnal/set_env.sh --cxx_abi=0" in words
    assert {"HCCL_CONNECT_TIMEOUT=7200", "HCCL_DETERMINISTIC=true", "CUDA_DEVICE_MAX_CONNECTIONS=1"} <= set(
        words
    )
    # all ranks of a node bind to CPUs of their own, and training's write gigabytes before they end
    assert prefix.threads(one, "train") == 8 * one.hardware.threads
    assert "--grace 600" in " ".join(words)
    assert "--grace" not in prefix.line(one, "generate", ["launch"])
    assert "--log-dir" not in words  # it lies beside the rule's own log
    # answers come from one node, all of whose devices hold a copy; MindSpeed-LLM answers a single question with one
    assert prefix.resources(one, "generate")["npu"] == 8
    assert "--workers 8" in prefix.line(one, "generate", "launch")
    assert prefix.resources(one, "generate", "mindspeed-llm")["npu"] == 1
    assert "--workers 1" in prefix.flags(one, "generate", "mindspeed-llm")


@pytest.mark.parametrize(("devices", "ranks"), [(8, 6), (3, 3), (7, 6), (2, 3)])
def test_copies_that_answer_fill_a_node_as_far_as_whole_ones_go(devices, ranks):
    one = experiment(npus_per_node=devices)
    layout = replace(one.generate.layout, tensor_parallel_size=1, pipeline_parallel_size=3)
    one = replace(one, generate=replace(one.generate, layout=layout))
    assert prefix.workers(one, "generate") == ranks and prefix.workers(one, "train") == devices


def test_memory_is_asked_for_by_the_estimate():
    raw = yaml.safe_load((ROOT / "config" / "qwen2.5-math-7b.yaml").read_text())
    seven = config.load(raw)
    # 8 ranks, 4 copies of 15 GB on their way in or 107 GB on their way out: never the profiles' 4 GB
    asked = estimate.megabytes(seven, "qwen2.5-math-7b", "train")
    assert 107_000 < asked < 500_000
    # a batch of our converter streams in little
    assert estimate.megabytes(seven, "qwen2.5-math-7b", "convert_hf_to_mcore") == estimate.LEAST_MEGABYTES
    raw["hardware"]["atlas-800t-a2"]["host_memory_gib"] = 100
    assert estimate.megabytes(config.load(raw), "qwen2.5-math-7b", "train") == 102_400


def test_a_rules_line_is_launched_as_it_stands():
    line = "--workers 2 -- .venv/bin/python scripts/posttrain_gpt.py --lr 1 --log a.log".split()
    assert (
        launch_request.arguments(line)
        == ("--workers 2 --log a.log --python .venv/bin/python -- scripts/posttrain_gpt.py --lr 1").split()
    )
    assert launch_request.arguments(["--help"]) == ["--help"]


def test_a_request_survives_the_way_through_flags():
    parser = argparse.ArgumentParser()
    launch_request.add_flags(parser)
    parser.add_argument("--log", type=Path)
    parser.add_argument("worker", nargs="+")
    asked = launch_request.Request(
        worker=("w.py", "--lr", "1"),
        log_dir=Path("logs"),
        workers=8,
        nodes=2,
        bind_core=True,
        set_env=("a b", "c"),
        env={"A": "x=y", "B": ""},
        expect=(Path("e"),),
        metrics=Path("m"),
    )
    args = parser.parse_args(launch_request.words(asked))
    assert launch_request.from_args(args, args.worker) == asked
