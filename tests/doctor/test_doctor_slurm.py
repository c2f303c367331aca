"""Slurm's own files, as far as the launcher needs them: each missing line is red, with the lines that cure it."""

from __future__ import annotations

import os

import pytest

from distillery.doctor import slurm_setup
from distillery.hardware import Hardware

NODE = Hardware("node", "Ascend", 2, 2, 8, 0, "localhost", 6000, chip="910B3", gres="npu:910b")
CONFIG = "GresTypes               = gpu,npu"
NODES = """\
NodeName=a Arch=aarch64 Gres=npu:910b:8(S:0-1) State=IDLE
NodeName=b Arch=aarch64 Gres=gpu:1,npu:910b:8 State=MIXED
NodeName=c Arch=x86_64 Gres=(null) State=IDLE"""
GRES = "AutoDetect=off\nName=npu Type=910b File=/dev/davinci[0-7]\n"


@pytest.fixture
def states(tmp_path, monkeypatch):
    """The states of all lines, for a Slurm that answers so."""

    def ask(config=CONFIG, nodes=NODES, gres=GRES, machine=NODE):
        tool, conf = tmp_path / "scontrol", tmp_path / "gres.conf"
        tool.write_text(f"#!/bin/sh\n[ $2 = config ] && cat << E || cat << F\n{config}\nE\n{nodes}\nF\n")
        tool.chmod(0o755)
        conf.write_text(gres)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        found = list(slurm_setup.examine(machine, conf))
        assert all(
            "Name=npu Type=910b File=/dev/davinci[0-7]" in one.fix for one in found if one.state == "fail"
        )
        return [one.state for one in found]

    return ask


def test_without_slurm_nothing_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list(slurm_setup.examine(NODE)) == []


def test_a_right_slurm_is_green_and_each_missing_line_is_red(states):
    assert states() == ["ok", "ok", "ok"]
    assert states(config="GresTypes = gpu") == ["fail"]
    assert states(config="GresTypes = (null)") == ["fail"]
    assert states(nodes=NODES.replace("npu:910b:8", "npu:910b:4")) == ["ok", "fail"]
    assert states(nodes=NODES.replace("gpu:1,npu:910b:8", "(null)")) == ["ok", "fail"]
    assert states(gres="Name=npu Type=910b Count=8\n") == ["ok", "ok", "fail"]
    assert states(gres="") == ["ok", "ok", "fail"]
