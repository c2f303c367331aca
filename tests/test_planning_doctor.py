"""The doctor sees what is there, and each thing that may be broken."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from distillery.experiment import Hardware
from distillery.planning import ascend, doctor

ROOT = Path(__file__).parent.parent
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
    for result in (doctor.python(), doctor.versions(), doctor.numpy_abi(), doctor.msrun(), doctor.scratch()):
        assert result.state == "ok", result


def test_a_missing_or_other_version_is_red(tmp_path):
    lock = tmp_path / "requirements.txt"
    lock.write_text(
        "numpy==9.9.9 \\\n    --hash=sha256:00\nno-such-thing==1.0\nwinonly==1 ; sys_platform == 'win32'\n"
    )
    assert doctor.locked(lock) == {"numpy": "9.9.9", "no-such-thing": "1.0"}
    result = doctor.versions(lock)
    assert result.state == "fail" and result.fix == "make setup"
    assert "no-such-thing nothing, locked 1.0" in result.found and "locked 9.9.9" in result.found


def test_a_module_that_does_not_import_is_red(tmp_path):
    (tmp_path / "requirements.in").write_text("PyYAML\njinja2\n")
    assert doctor.imports(tmp_path / "requirements.txt").found == "2 modules"
    (tmp_path / "requirements.in").write_text("PyYAML\nno-such-thing==1\n")
    result = doctor.imports(tmp_path / "requirements.txt")
    assert result.state == "fail" and "no_such_thing: ModuleNotFoundError" in result.found


def test_numpy_2_is_the_trap_that_it_is(monkeypatch):
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "2.1.0")
    result = doctor.numpy_abi()
    assert result.state == "fail" and "numpy<2" in result.fix


def test_a_device_that_is_not_there_is_red():
    result = doctor.operation("Ascend")
    assert result.state == "fail" and "\n" not in result.found and "CANN" in result.fix


def test_a_port_in_use_is_red():
    with socket.socket() as one:
        one.bind(("", 0))
        machine = replace(NODE, master_port=one.getsockname()[1])
        assert doctor.port(machine).state == "fail"
    assert doctor.port(machine).state == "ok"


def test_a_hub_out_of_reach_is_red_and_one_that_answers_anything_is_green():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        assert doctor.hub("x", f"http://127.0.0.1:{one.getsockname()[1]}", seconds=1).state == "fail"
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT / "tests/data",
    )
    try:
        address = server.stdout.readline().split("(")[1].split(")")[0]
        assert doctor.hub("x", address).state == "ok"
        assert doctor.hub("x", f"{address}nothing-here").found.endswith("404")
    finally:
        server.terminate()
        server.wait()


def test_cann_and_driver_are_wanted_only_for_npus(tmp_path):
    absent = tmp_path / "version.info"
    assert ascend.version("driver", absent, False, "cure").state == "absent"
    assert ascend.version("driver", absent, True, "cure").state == "fail"
    absent.write_text("Version=25.2.0\ninnerversion=x\n")
    assert ascend.version("driver", absent, True, "cure").found == "25.2.0"
    absent.write_text("# version: 1.0\nruntime_running_version=[8.3.RC1:8.3.RC1]\nversion=8.3.RC1\n")
    assert ascend.version("CANN", absent, True, "cure").found == "8.3.RC1"


@pytest.mark.parametrize(
    ("health", "wanted", "state"), [("OK", 2, "ok"), ("OK", 3, "fail"), ("Warning", 2, "fail")]
)
def test_chips_are_counted_and_asked_for_their_health(tmp_path, monkeypatch, health, wanted, state):
    tool = tmp_path / "npu-smi"
    table = CHIPS.replace("{health}", health.ljust(8))
    tool.write_text(f"#!{sys.executable}\nprint({table!r})\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    result = ascend.devices(wanted)
    assert result.state == state, result


def test_the_second_engine_needs_its_scripts_its_tag_and_its_packages(tmp_path):
    checkout, python = tmp_path / "MindSpeed-LLM", tmp_path / "bin" / "python"
    machine = replace(NODE, mindspeed_llm={"directory": str(checkout), "python": str(python)})
    assert "no preprocess_data.py" in ascend.mindspeed(machine).found
    checkout.mkdir()
    for script in ascend.REFERENCE_SCRIPTS:
        (checkout / script).write_text("")
    assert "no interpreter" in ascend.mindspeed(machine).found
    python.parent.mkdir()

    def answers(transformers: str) -> None:
        python.write_text(
            f"#!/bin/sh\necho mindspore 2.7.0\necho transformers {transformers}\necho pyarrow 19.0\n"
        )
        python.chmod(0o755)

    answers("4.57.1")
    assert ascend.mindspeed(machine).state == "ok"
    answers("5.0.0")
    assert "transformers 5.0.0, locked 4.57.1" in ascend.mindspeed(machine).found
    python.write_text("#!/bin/sh\necho mindspore 2.7.0\n")
    assert "lacks transformers" in ascend.mindspeed(machine).found


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
