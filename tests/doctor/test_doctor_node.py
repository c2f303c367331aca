"""A whole faked node, right in everything: all green, and red in one place with its cure for each single deviation."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from ascend_tree import lay, machine
from test_doctor import CHIPS

from distillery.doctor import Result, examination, npu_machine

# what a matmul needs of MindSpore, on a device that is there where CANN's environment was sourced
MINDSPORE = """
import os
import numpy
__version__ = "2.10.0"
Tensor = numpy.array
def set_context(device_target):
    if device_target == "Ascend" and "ASCEND_TOOLKIT_HOME" not in os.environ:
        raise RuntimeError("Unsupported device target Ascend.")
class ops:
    matmul = staticmethod(lambda a, b: type("Tensor", (), {"asnumpy": lambda self: a @ b})())
"""
HCCN = '#!/bin/sh\ncase "$3" in\n-ip) echo ipaddr:10.0.0.1;;\n-link) echo link status: UP;;\n*) echo net health status: Success;;\nesac\n'
SHELL = ("sh", "bash", "env", "dirname", "realpath", "git")  # what the tree's scripts and the doctor call


@pytest.fixture
def node(tmp_path, monkeypatch) -> Path:
    """FOLDER with the tree, driver, toolkit, devices, and nothing on PATH but these tools and a shell's."""
    core = lay(tmp_path)
    (core / "MindSpeed/mindspore.py").write_text(MINDSPORE)
    for name, text in {"driver.info": "Version=25.2.0\n", "toolkit/version.cfg": "version=8.3.RC1\n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "dev").mkdir()
    for one in ["davinci0", "davinci1", *npu_machine.SHARED_DEVICES]:
        (tmp_path / "dev" / one).touch()
    (tmp_path / "tools").mkdir()
    for name in SHELL:
        (tmp_path / "tools" / name).symlink_to(shutil.which(name))
    tool(tmp_path, "npu-smi", f"#!{sys.executable}\nprint({CHIPS.replace('{health}', 'OK      ')!r})\n")
    tool(tmp_path, "hccn_tool", HCCN)
    monkeypatch.setenv("PATH", str(tmp_path / "tools"))
    monkeypatch.delenv("ASCEND_TOOLKIT_HOME", raising=False)
    return tmp_path


def tool(folder: Path, name: str, text: str) -> None:
    path = folder / "tools" / name
    path.write_text(text)
    path.chmod(0o755)


def swap(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def examined(folder: Path) -> list[Result]:
    one = machine(
        folder / "MindSpeed-Core-MS",
        npus_per_node=2,
        nodes=2,
        environment={"HCCL_HOST_SOCKET_PORT_RANGE": "60000-60050"},  # ports of this machine are no part of it
    )
    places = (folder / "toolkit", folder / "driver.info", folder / "dev")
    return [examination.operation(one), *npu_machine.examine([one], *places)]


def test_a_right_node_is_green(node):
    found = examined(node)
    assert [one.state for one in found] == ["ok"] * 11, [one for one in found if one.state != "ok"]
    assert found[0].found.startswith("MindSpore 2.10.0, ")


CORE, CANN = "MindSpeed-Core-MS", "Ascend"
DEVIATIONS = {
    "an old driver": (
        lambda folder: swap(folder / "driver.info", "25.2.0", "25.0.RC1"),
        {"versions on node": "driver 25.2.0 or newer"},
    ),
    "another CANN": (
        lambda folder: swap(folder / "toolkit/version.cfg", "8.3.RC1", "8.2.RC1"),
        {"versions on node": "goes with CANN 8.3.RC1"},
    ),
    "no driver": (
        lambda folder: (folder / "driver.info").unlink(),
        {"driver": "install the Ascend driver", "versions on node": "driver 25.2.0 or newer"},
    ),
    "a chip that is ill": (
        lambda folder: swap(folder / "tools/npu-smi", "OK", "Alarm"),
        {"npu-smi": "npu-smi info -t health"},
    ),
    "no npu-smi": (lambda folder: (folder / "tools/npu-smi").unlink(), {"npu-smi": "install the driver"}),
    "a device that was not passed in": (
        lambda folder: (folder / "dev/davinci1").unlink(),
        {"device files on node": "--device"},
    ),
    "no hccn_tool": (
        lambda folder: (folder / "tools/hccn_tool").unlink(),
        {"device network on node": "/usr/local/Ascend/driver/tools"},
    ),
    "a link that is down": (
        lambda folder: swap(folder / "tools/hccn_tool", "status: UP", "status: DOWN"),
        {"device network on node": "check cables"},
    ),
    "no nnal": (
        lambda folder: shutil.rmtree(folder / CANN / "nnal"),
        {"matmul on node": "source", "ranks on node": "source"},
    ),
    "a toolkit that sets nothing": (
        lambda folder: swap(folder / CANN / "ascend-toolkit/set_env.sh", "ASCEND_TOOLKIT_HOME", "X"),
        {"matmul on node": "set_env name CANN's set_env.sh"},
    ),
    "a MindSpore for another CANN": (
        lambda folder: swap(folder / CORE / "MindSpeed/mindspore.py", "a @ b", "a + b"),
        {"matmul on node": "match MindSpore, CANN and driver"},
    ),
    "no MSAdapter": (
        lambda folder: shutil.rmtree(folder / CORE / "MSAdapter"),
        {"ranks on node": "set_path.sh"},
    ),
    "no checkouts": (
        lambda folder: shutil.rmtree(folder / CORE / "MindSpeed-LLM"),
        {"MindSpeed-LLM on node": "auto_convert.sh llm"},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_each_deviation_is_red_with_its_cure_and_nothing_else_is(node, deviation):
    change, cures = DEVIATIONS[deviation]
    change(node)
    found = {one.name: one.fix for one in examined(node) if one.state == "fail"}
    assert found.keys() == cures.keys(), found
    assert all(cures[name] in found[name] for name in cures), found
