"""Variables that differ from node to node: each gets its own, and one that has none says so."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace

import pytest

from distillery.hardware import Hardware
from distillery.launch import environment, launch_request, prefix
from distillery.problems import Problem

NODES = {"n1": {"HCCL_IF_IP": "10.0.0.1", "GLOO_SOCKET_IFNAME": "eth0"}, "n2": {"HCCL_IF_IP": "10.0.0.2"}}
NODE = Hardware("a", "Ascend", 2, 2, 8, 0, "n1", 6000, node_environment=NODES)


def test_a_nodes_own_variables_reach_its_request_and_survive_srun():
    parser = argparse.ArgumentParser()
    launch_request.add_flags(parser)
    parser.add_argument("--log")
    args = parser.parse_args([*shlex.split(prefix.host(NODE, "mindspore")), "--log-dir", "x"])
    request = launch_request.from_args(args, ["train.py"])
    again = parser.parse_args(launch_request.words(request)[:-2])
    assert launch_request.from_args(again, ["train.py"]).node_env == request.node_env
    assert environment.of_node(request.node_env, ["n1"]) == NODES["n1"]
    assert environment.of_node(request.node_env, ["x", "n2.cluster", "n2"]) == NODES["n2"]
    with pytest.raises(Problem, match="this node has no variables") as caught:
        environment.of_node(request.node_env, ["n3"])
    assert "n1, n2; this is n3" in str(caught.value)


def test_without_such_variables_every_node_will_do():
    assert environment.of_node({}, ["n3"]) == {}
    assert "--node-env" not in prefix.host(replace(NODE, node_environment={}), "mindspore")


def test_a_variable_without_a_node_is_wrong_usage():
    parser = argparse.ArgumentParser()
    launch_request.add_flags(parser)
    args = parser.parse_args(["--node-env", "HCCL_IF_IP=10.0.0.1", "--log-dir", "x"])
    args.log = None
    with pytest.raises(Problem, match="NODE:NAME=VALUE"):
        launch_request.from_args(args, ["train.py"])
