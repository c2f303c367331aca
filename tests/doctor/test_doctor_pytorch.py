"""MindSpeed-LLM on PyTorch: green as its install guide leaves it, red with its own cure for each single deviation."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ascend_tree import checkout, write_package
from pytorch_tree import lay, machine

from distillery.doctor import Result, mindspeed_installation, npu_machine


@pytest.fixture
def home(tmp_path) -> Path:
    return lay(tmp_path)


def rows(home: Path, **changes: object) -> list[Result]:
    """CANN and driver, and the installation."""
    node, cann, driver = machine(home, **changes), home / "Ascend/latest", home / "Ascend/driver/version.info"
    found = [
        npu_machine.version("driver", driver, True, "install the Ascend driver"),
        npu_machine.version("CANN", npu_machine._info(cann), True, "install CANN's toolkit"),
        npu_machine.versions(node, cann, driver),
    ]
    return [*found, *mindspeed_installation.examine(node)]


def test_a_right_installation_is_green(home):
    found = rows(home)
    states = {one.name: one.state for one in found}
    # its documents call driver and CANN "in development": these are shown, and nothing is held against them
    assert states.pop("versions on node") == "absent"
    assert set(states.values()) == {"ok"} and len(states) == 5, found
    assert "2.2.0 on pytorch, CANN 8.3.RC1, driver 25.3.RC1: no published match" in found[2].found
    wanted = (
        "torch, torch_npu, mindspeed, megatron.core, mindspeed_llm import; torch 2.7.1, torch_npu 2.7.1rc1"
    )
    assert found[-1].found.startswith(wanted), found[-1]


def gone(place: str):
    return lambda home: shutil.rmtree(home / place)


def written(place: str, text: str):
    return lambda home: (home / place).write_text(text)


def pinned(name: str, version: str):
    return lambda home: write_package(home / "packages", name, version)


DEVIATIONS = {
    "no CANN": (gone("Ascend/latest"), "CANN", "version.cfg", "install CANN's toolkit"),
    "no driver": (gone("Ascend/driver"), "driver", "version.info", "install the Ascend driver"),
    "MindSpore's torch": (
        pinned("torch", "2.1.0"),
        "ranks",
        "torch 2.1.0, 2.2.0 on pytorch pins 2.7.1",
        "torch==2.7.1",
    ),
    "another torch_npu": (pinned("torch_npu", "2.7.1"), "ranks", "pins 2.7.1rc1", "torch_npu==2.7.1rc1"),
    "the goldens' transformers": (
        pinned("transformers", "4.57.1"),
        "ranks",
        "pins 4.43.2",
        "transformers==4.43.2",
    ),
    "no torch": (
        written("packages/torch/__init__.py", "raise ModuleNotFoundError(\"No module named 'torch'\")"),
        "ranks",
        "torch: ModuleNotFoundError",
        "-m pip install torch==2.7.1",
    ),
    "no torch_npu": (
        gone("packages/torch_npu"),
        "ranks",
        "torch_npu: ModuleNotFoundError",
        "install torch_npu==2.7.1rc1",
    ),
    "no MindSpeed": (gone("packages/mindspeed"), "ranks", "mindspeed: ModuleNotFoundError", "pip install -e"),
    "Megatron not copied": (gone("MindSpeed-LLM/megatron"), "ranks", "megatron", "beside posttrain_gpt.py"),
    "a module that breaks": (
        written("packages/mindspeed/__init__.py", "1 / 0"),
        "ranks",
        "mindspeed: ZeroDivisionError",
        "set_env must name /usr/local/Ascend/ascend-toolkit/set_env.sh",
    ),
    "a toolkit that sets nothing": (
        written("Ascend/ascend-toolkit/set_env.sh", ""),
        "ranks",
        "torch_npu: ImportError: libhccl.so",
        "set_env must name /usr/local/Ascend/ascend-toolkit/set_env.sh",
    ),
    "an nnal that sets nothing": (
        written("Ascend/nnal/atb/set_env.sh", ""),
        "nnal/atb",
        "ATB_HOME_PATH is not set",
        "nnal package",
    ),
    "no nnal": (gone("Ascend/nnal"), "ranks", "a script to source is not there", "set_env.sh files"),
    "no converter": (
        lambda home: (home / "MindSpeed-LLM/convert_ckpt.py").unlink(),
        "MindSpeed-LLM",
        "no convert_ckpt.py",
        "docs/pytorch/install_guide.md",
    ),
    "another version": (
        lambda home: checkout(home, "v2.3.0"),
        "MindSpeed-LLM",
        "is at v2.3.0",
        "checkout v2.2.0",
    ),
    "no interpreter": (
        lambda home: (home / "bin/python").unlink(),
        "MindSpeed-LLM",
        "no interpreter",
        "mindspeed_llm.python",
    ),
}


@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_each_deviation_is_red_with_its_cure(home, deviation):
    change, name, found, cure = DEVIATIONS[deviation]
    change(home)
    (red,) = (one for one in rows(home) if one.state == "fail")
    assert red.name.startswith(name) and found in red.found and cure in red.fix, red
    assert "set_path.sh" not in red.fix and "msrun" not in red.fix  # MindSpore's


def test_an_environment_that_is_not_sourced_is_red_where_it_shows(home):
    found = {one.name: one for one in rows(home, set_env=()) if one.state == "fail"}
    assert "nnal/atb/set_env.sh" in found["nnal/atb on node"].fix
    assert (
        "libhccl.so" in found["ranks on node"].found
        and "ascend-toolkit/set_env.sh" in found["ranks on node"].fix
    )
