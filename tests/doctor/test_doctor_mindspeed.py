"""MindSpeed-LLM's installation: green as MindSpeed-Core-MS r0.4.0 leaves it, red with its cure for each single deviation.

The tree is laid as upstream's scripts lay it: tests/support/ascend_tree.py.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from ascend_tree import PINS, checkout, lay, machine, pin

from distillery import schema
from distillery.doctor import mindspeed_installation, npu_machine, releases
from distillery.launch import environment


@pytest.fixture
def home(tmp_path) -> Path:
    return lay(tmp_path)


def red(core: Path, **changes: object) -> str:
    """What is red, and how it is cured."""
    found = list(mindspeed_installation.examine(machine(core, **changes)))
    return "\n".join(f"{one.found}; {one.fix}" for one in found if one.state == "fail")


NAMED = schema.at("hardware.*.mindspeed_llm")["properties"]


@pytest.mark.parametrize("framework", NAMED["framework"]["enum"])
@pytest.mark.parametrize("version", NAMED["version"]["enum"])
def test_each_version_and_framework_that_may_be_named_is_known_with_its_sources(home, version, framework):
    """The doctor ended with KeyError: 'master'."""
    installed = {**machine(home).mindspeed_llm, "version": version, "framework": framework}
    node, release = machine(home, mindspeed_llm=installed), releases.of(installed)
    assert release.sources and all(one.startswith("https://") for one in release.sources)
    assert release.title == f"{version} on {framework}"
    shown = npu_machine.versions(node, home, home / "driver")
    assert shown.state == ("fail" if release.cann else "absent"), shown
    # none of the others is in the fake tree of 2.2.0 on MindSpore
    other = (version, framework) != ("2.2.0", "mindspore")
    assert any(one.state == "fail" and one.fix for one in mindspeed_installation.examine(node)) == other


@pytest.mark.parametrize("post", ["", ".post3"])
def test_a_right_installation_is_green(home, post):
    pin(home, PINS | {"mindspore": f"2.7.1{post}"})
    found = list(mindspeed_installation.examine(machine(home)))
    assert [one.state for one in found] == ["ok"] * 3, found
    assert f"mindspore 2.7.1{post}, transformers 4.51.0" in found[-1].found
    assert "maintained until 2026-03" in found[0].found


DEVIATIONS = {
    "no MSAdapter": (
        lambda core: shutil.rmtree(core / "MSAdapter"),
        "torch: ModuleNotFoundError",
        "set_path.sh",
    ),
    "no Megatron": (lambda core: shutil.rmtree(core / "Megatron-LM"), "megatron.core: ", "set_path.sh"),
    "a module that breaks": (
        lambda core: (core / "MindSpeed/mindspeed/__init__.py").write_text("1 / 0"),
        "mindspeed: ZeroDivisionError",
        "set_path.sh",
    ),
    "the root's converter only": (
        lambda core: (core / "MindSpeed-LLM/mindspeed_llm/mindspore/convert_ckpt.py").unlink(),
        "no mindspeed_llm/mindspore/convert_ckpt.py",
        "auto_convert.sh llm",
    ),
    "another version": (lambda core: checkout(core, "v2.3.0"), "is at v2.3.0", "checkout v2.2.0"),
    "transformers of the goldens": (
        lambda core: pin(core, PINS | {"transformers": "4.57.1"}),
        "transformers 4.57.1, 2.2.0 on mindspore pins 4.51.0",
        "transformers==4.51.0",
    ),
    "an older MindSpore": (
        lambda core: pin(core, PINS | {"mindspore": "2.7.0"}),
        "mindspore 2.7.0",
        "mindspore==2.7.1",
    ),
    "no interpreter": (lambda core: (core / "bin/python").unlink(), "no interpreter", "mindspeed_llm.python"),
    "no nnal": (
        lambda core: shutil.rmtree(core.parent / "Ascend/nnal"),
        "sourcing the environment failed",
        "source",
    ),
    "an nnal that sets nothing": (
        lambda core: (core.parent / "Ascend/nnal/atb/set_env.sh").write_text(""),
        "ATB_HOME_PATH is not set",
        "nnal package",
    ),
}


@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_each_deviation_is_red_with_its_cure(home, deviation):
    change, found, cure = DEVIATIONS[deviation]
    change(home)
    said = red(home)
    assert said.count("\n") == 0, said
    assert found in said.partition("; ")[0] and cure in said.partition("; ")[2], said


def test_the_toolkit_alone_is_not_enough(home):
    """What the shipped configurations named before: the ranks ended with No module named 'torch'."""
    toolkit = str(home.parent / "Ascend/ascend-toolkit/set_env.sh")
    said = red(home, set_env=(toolkit,))
    assert "ATB_HOME_PATH is not set" in said and "import" not in said.partition("\n")[0]
    assert "set_path.sh" in said


def test_a_pythonpath_of_the_configuration_goes_before_canns_and_does_not_replace_it(home):
    """It did, and with it went MSAdapter and the toolkit's own modules."""
    own = machine(home, environment={"PYTHONPATH": "/mine", "HCCL_CONNECT_TIMEOUT": 60})
    python = own.mindspeed_llm["python"]
    made = environment.prepared(own.set_env, environment.variables(own), python)
    places = made["PYTHONPATH"].split(":")
    assert places[0] == "/mine" and f"{home}/MSAdapter/" in places and "/toolkit/python" in places
    assert made["HCCL_CONNECT_TIMEOUT"] == "60"
    lines = environment.pasteable(own.set_env, environment.variables(own), python, ["true"], home)
    pasted = subprocess.run(
        ["bash", "-ec", f"{lines}echo $PYTHONPATH"], capture_output=True, text=True, check=True
    )
    assert pasted.stdout.splitlines()[-1].startswith(f"/mine:{home}/MindSpeed-LLM/:")
