"""The doctor sees what is there, and each thing that may be broken."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest
from places import ROOT

from distillery.doctor import examination, npu_machine, reach, releases
from distillery.hardware import Hardware

NODE = Hardware("node", "Ascend", 2, 1, 2, 0, "localhost", 6000, chip="910B3")
CHIPS = """\
+------------------------------------------------------------------------------------------------+
| npu-smi 25.2.0                   Version: 25.2.0                                                |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 0     910B3               | OK            | 90.1        45                0    / 0             |
| 0                         | 0000:C1:00.0  | 0           0    / 0          3162 / 65536         |
+===========================+===============+====================================================+
| 1     910B3               | {health}      | 88.0        44                0    / 0             |
| 0                         | 0000:C2:00.0  | 0           0    / 0          3162 / 65536         |
+===========================+===============+====================================================+
"""


def test_this_environment_is_as_locked():
    for result in (
        examination.python(),
        examination.versions(),
        examination.numpy_abi(),
        examination.msrun(),
        examination.scratch(),
    ):
        assert result.state == "ok", result


def test_a_missing_or_other_version_is_red(tmp_path):
    lock = tmp_path / "requirements.txt"
    lock.write_text(
        "numpy==9.9.9 \\\n    --hash=sha256:00\nno-such-thing==1.0\nwinonly==1 ; sys_platform == 'win32'\n"
    )
    assert examination.locked(lock) == {"numpy": "9.9.9", "no-such-thing": "1.0"}
    result = examination.versions(lock)
    assert result.state == "fail" and result.fix == "make setup"
    assert "no-such-thing nothing, locked 1.0" in result.found and "locked 9.9.9" in result.found


@pytest.mark.slow
def test_a_module_that_does_not_import_is_red(tmp_path, monkeypatch):
    lock = tmp_path / "requirements.txt"
    lock.write_text("jinja2==1\nMarkupSafe==1\n")  # the second is nobody's direct dependency
    assert examination.imports(lock).found == "2 modules"
    site = tmp_path / "site"
    (site / "broken_one-1.dist-info").mkdir(parents=True)
    (site / "broken_one-1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: broken-one\nVersion: 1\n"
    )
    (site / "broken_one-1.dist-info" / "top_level.txt").write_text("crooked\n")
    (site / "crooked.py").write_text("import no_such_thing\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.syspath_prepend(site)
    lock.write_text("jinja2==1\nbroken.one==1\n")
    result = examination.imports(lock)
    assert result.state == "fail" and "crooked: ModuleNotFoundError" in result.found


def test_numpy_2_is_the_trap_that_it_is(monkeypatch):
    monkeypatch.setattr(examination.metadata, "version", lambda name: "2.1.0")
    result = examination.numpy_abi()
    assert result.state == "fail" and "numpy<2" in result.fix


@pytest.mark.mindspore
def test_a_device_that_is_not_there_is_red():
    result = examination.operation(NODE)
    assert result.state == "fail" and "\n" not in result.found and "CANN" in result.fix


def test_a_port_in_use_is_red():
    with socket.socket() as one:
        one.bind(("", 0))
        machine = replace(NODE, master_port=one.getsockname()[1])
        assert reach.port(machine).state == "fail"
    assert reach.port(machine).state == "ok"


def test_a_port_of_hccl_in_use_is_red():
    with socket.socket() as one:
        one.bind(("", 0))
        taken = one.getsockname()[1]
        machine = replace(NODE, environment={"HCCL_IF_BASE_PORT": taken - 3})
        result = npu_machine.hccl(machine)
        assert result.state == "fail" and str(taken) in result.found
    names = [one.name for one in npu_machine.examine([NODE, replace(NODE, name="one", npus_per_node=1)])]
    assert "HCCL ports on node" in names and "HCCL ports on one" not in names
    chosen = replace(NODE, environment={"HCCL_HOST_SOCKET_PORT_RANGE": "auto"})
    assert npu_machine.hccl(chosen).state == "ok"


@pytest.mark.parametrize(
    ("mindspore", "cann", "driver", "state"),
    [
        ("2.7.1", "8.3.RC1", "25.3.RC1", "ok"),
        ("2.7.1.post2", "8.3.RC1", "25.3.RC1", "ok"),  # a build of the same version
        ("2.7.0", "8.2.RC1", "25.3.RC1", "ok"),  # a newer driver serves older ones
        ("2.7.1", "8.2.RC1", "25.3.RC1", "fail"),
        ("2.7.1", "8.3.RC1", "25.2.0", "fail"),
        ("2.7.1", None, "25.3.RC1", "fail"),
        ("2.10.0", "8.5.0", "25.5.0", "absent"),
    ],
)
def test_mindspore_cann_and_driver_go_together(mindspore, cann, driver, state):
    assert npu_machine.match("x", mindspore, *releases.mindspore(mindspore), cann, driver).state == state


@pytest.mark.parametrize(
    ("cann", "driver", "state"),
    [("8.3.RC1", "25.2.0", "ok"), ("8.3.RC1", "25.0.RC1", "fail"), ("8.2.RC1", "25.2.0", "fail")],
)
def test_the_versions_are_those_of_the_engine_that_trains(tmp_path, cann, driver, state):
    """MindSpeed-LLM 2.2.0's readme names an older driver for MindSpore 2.7.1 than MindSpore's own table."""
    version, home = tmp_path / "version.info", tmp_path / "latest"
    version.write_text(f"Version={driver}\n")
    home.mkdir()
    (home / "version.cfg").write_text(f"runtime_running_version=[8.3.RC1:8.3.RC1]\nversion={cann}\n")
    machine = replace(NODE, mindspeed_llm={"directory": "x", "python": "y"})
    result = npu_machine.versions(machine, home, version)
    assert (result.state, result.found) == (
        state,
        f"MindSpeed-LLM 2.2.0 on mindspore, CANN {cann}, driver {driver}",
    )
    pytorch = replace(NODE, mindspeed_llm={"directory": "x", "python": "y", "framework": "pytorch"})
    assert npu_machine.versions(pytorch, home, version).state == "absent"  # its documents name none


def test_device_files_are_there_and_open(tmp_path):
    names = ["davinci0", "davinci1", *npu_machine.SHARED_DEVICES]
    for name in names:
        (tmp_path / name).touch()
    assert npu_machine.device_files(NODE, tmp_path).state == "ok"
    for name in names:
        (tmp_path / name).unlink()
        result = npu_machine.device_files(NODE, tmp_path)
        assert result.state == "fail" and f"{tmp_path}/{name}" in result.found
        (tmp_path / name).touch()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, ""),
        ({"-ip": "Command execute failed!"}, "device 0 -ip: Command execute failed!"),
        ({"-link": "link status: DOWN"}, "device 0 -link: link status: DOWN"),
        ({"-net_health": "net health status: Socket fail"}, "-net_health: net health status: Socket fail"),
    ],
)
def test_the_network_of_each_device_is_asked(tmp_path, monkeypatch, changed, words):
    answers = {
        "-ip": "ipaddr:10.20.0.20\\nnetmask:255.255.255.0",
        "-link": "link status: UP",
        "-net_health": "net health status: Success",
    } | changed
    tool = tmp_path / "hccn_tool"
    cases = "\n".join(f"{question}) printf '{answer}\\n';;" for question, answer in answers.items())
    tool.write_text(f'#!/bin/sh\ncase "$3" in\n{cases}\nesac\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    result = npu_machine.network(replace(NODE, nodes=2))
    assert result.state == ("fail" if changed else "ok") and words in result.found, result


def test_cann_and_driver_are_wanted_only_for_npus(tmp_path):
    absent = tmp_path / "version.info"
    assert npu_machine.version("driver", absent, False, "cure").state == "absent"
    assert npu_machine.version("driver", absent, True, "cure").state == "fail"
    absent.write_text("Version=25.2.0\ninnerversion=x\n")
    assert npu_machine.version("driver", absent, True, "cure").found == "25.2.0"
    absent.write_text("# version: 1.0\nruntime_running_version=[8.3.RC1:8.3.RC1]\nversion=8.3.RC1\n")
    assert npu_machine.version("CANN", absent, True, "cure").found == "8.3.RC1"


@pytest.mark.parametrize(
    ("health", "wanted", "state"), [("OK", 2, "ok"), ("OK", 3, "fail"), ("Warning", 2, "fail")]
)
def test_chips_are_counted_and_asked_for_their_health(tmp_path, monkeypatch, health, wanted, state):
    tool = tmp_path / "npu-smi"
    table = CHIPS.replace("{health}", health.ljust(8))
    tool.write_text(f"#!{sys.executable}\nprint({table!r})\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    result = npu_machine.devices(wanted)
    assert result.state == state, result


@pytest.mark.mindspore
def test_the_command_prints_a_line_each_and_json():
    answer = subprocess.run(
        [sys.executable, "workflow/scripts/doctor.py", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    results = json.loads(answer.stdout)
    states = {result["name"]: result["state"] for result in results}
    assert answer.returncode == 0, results
    assert states["matmul on CPU"] == states["imports"] == "ok"
    assert set(states.values()) <= {"ok", "absent"}
