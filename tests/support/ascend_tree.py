"""MindSpeed-Core-MS r0.4.0 as upstream's scripts leave it, beside a CANN: empty modules, this interpreter, real scripts.

set_path.sh sources nnal/atb and the toolkit and sets PYTHONPATH to the checkouts beside it, so that `torch` is
MSAdapter's.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from distillery.doctor import releases
from distillery.hardware import Hardware

PINS = {"mindspore": "2.7.1", "transformers": "4.51.0", "pyarrow": "19.0.0"}
SET_PATH = """#!/bin/bash
source {cann}/nnal/atb/set_env.sh --cxx_abi=0
source {cann}/ascend-toolkit/set_env.sh
here=$(dirname "$(dirname "$(dirname "$(realpath "${{BASH_SOURCE[0]}}")")")")
export PYTHONPATH=$here/MSAdapter/:$here/MSAdapter/msa_thirdparty:$PYTHONPATH
export PYTHONPATH=$here/MindSpeed-LLM/:$here/Megatron-LM/:$here/MindSpeed/:$PYTHONPATH
echo "..............................................done set PYTHONPATH"
echo $PYTHONPATH
"""
MODULES = [
    "MSAdapter/torch",
    "MSAdapter/msadapter",
    "MindSpeed/mindspeed",
    "Megatron-LM/megatron",
    "Megatron-LM/megatron/core",
    "MindSpeed-LLM/mindspeed_llm",
]


def lay(folder: Path) -> Path:
    """FOLDER/MindSpeed-Core-MS with its checkouts, beside FOLDER/Ascend."""
    cann, core = folder / "Ascend", folder / "MindSpeed-Core-MS"
    for name, text in {
        "nnal/atb/set_env.sh": '[ "$1" = --cxx_abi=0 ] || return 1\nexport ATB_HOME_PATH=/nnal/atb/latest/atb/cxx_abi_0\n',
        "ascend-toolkit/set_env.sh": "export ASCEND_TOOLKIT_HOME=/toolkit\nexport PYTHONPATH=/toolkit/python:$PYTHONPATH\n",
    }.items():
        (cann / name).parent.mkdir(parents=True)
        (cann / name).write_text(text)
    (core / "tests/scripts").mkdir(parents=True)
    (core / "tests/scripts/set_path.sh").write_text(SET_PATH.format(cann=cann))
    for module in MODULES:
        (core / module).mkdir(parents=True)
        (core / module / "__init__.py").touch()
    for script in releases.of({}).scripts:
        (core / "MindSpeed-LLM" / script).parent.mkdir(parents=True, exist_ok=True)
        (core / "MindSpeed-LLM" / script).touch()
    pin(core, PINS)
    (core / "bin").mkdir()
    (core / "bin/python").symlink_to(sys.executable)
    checkout(core, "v2.2.0")
    return core


def pin(core: Path, versions: dict[str, str]) -> None:
    """The interpreter's packages: metadata on PYTHONPATH goes before this environment's own."""
    for one in core.glob("MindSpeed/*.dist-info"):
        shutil.rmtree(one)
    for name, version in versions.items():
        write_package(core / "MindSpeed", name, version)


def write_package(folder: Path, name: str, version: str) -> None:
    """The metadata of an installed distribution, in the place of that of another version."""
    for one in folder.glob(f"{name}-*.dist-info"):
        shutil.rmtree(one)
    made = folder / f"{name}-{version}.dist-info"
    made.mkdir()
    (made / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def checkout(core: Path, tag: str) -> None:
    directory = core / "MindSpeed-LLM"
    shutil.rmtree(directory / ".git", ignore_errors=True)
    who = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    for words in (
        ["init", "-q", "-b", "work"],
        [*who, "commit", "-q", "--allow-empty", "-m", "x"],
        ["tag", tag],
    ):
        subprocess.run(["git", "-C", directory, *words], check=True)


def machine(core: Path, **changes: object) -> Hardware:
    settings = {
        "set_env": (str(core / "tests/scripts/set_path.sh"),),
        "mindspeed_llm": {"python": str(core / "bin/python"), "directory": str(core / "MindSpeed-LLM")},
    } | changes
    node = Hardware("node", "Ascend", 2, 1, 8, 0, "localhost", 6000, chip="910B3")
    return replace(node, **settings)
