"""MindSpeed-LLM on PyTorch as its install guide leaves it: a CANN that is sourced, packages of pip, checkouts side by side.

torch and torch_npu load libraries of CANN, so that they do not import before its set_env.sh was sourced.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from ascend_tree import checkout, write_package

from distillery.doctor import releases
from distillery.hardware import Hardware

NAMED = {"framework": "pytorch"}
PINS = {**releases.of(NAMED).packages, "pyarrow": "19.0.0"}
NEEDS_CANN = """import os
if "ASCEND_TOOLKIT_HOME" not in os.environ:
    raise ImportError("libhccl.so: cannot open shared object file: No such file or directory")
"""
# an interpreter whose own packages are those of the folder beside it, before this environment's
PYTHON = """#!/bin/sh
PYTHONPATH={packages}:$PYTHONPATH exec {python} "$@"
"""
MODULES = {
    "packages/torch": "",
    "packages/torch_npu": NEEDS_CANN,
    "packages/mindspeed": "",
    "MindSpeed-LLM/megatron": "",
    "MindSpeed-LLM/megatron/core": "",
    "MindSpeed-LLM/mindspeed_llm": "import torch_npu\n",
}


def lay(folder: Path) -> Path:
    """FOLDER/MindSpeed-LLM with its interpreter in FOLDER/bin, beside FOLDER/Ascend; returns FOLDER."""
    for name, text in {
        "Ascend/nnal/atb/set_env.sh": "export ATB_HOME_PATH=/nnal/atb/latest/atb/cxx_abi_1\n",
        "Ascend/ascend-toolkit/set_env.sh": "export ASCEND_TOOLKIT_HOME=/toolkit\n",
        "Ascend/latest/version.cfg": "runtime_running_version=[8.3.RC1:8.3.RC1]\nversion=8.3.RC1\n",
        "Ascend/driver/version.info": "Version=25.3.RC1\n",
        **{f"{place}/__init__.py": text for place, text in MODULES.items()},
        **{f"MindSpeed-LLM/{script}": "" for script in releases.of(NAMED).scripts},
        "bin/python": PYTHON.format(packages=folder / "packages", python=sys.executable),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "bin/python").chmod(0o755)
    for name, version in PINS.items():
        write_package(folder / "packages", name, version)
    checkout(folder, "v2.2.0")
    return folder


def machine(home: Path, **changes: object) -> Hardware:
    """A node of two devices whose ranks run in that tree."""
    settings = {
        "set_env": tuple(str(home / f"Ascend/{one}/set_env.sh") for one in ("ascend-toolkit", "nnal/atb")),
        "mindspeed_llm": {
            **NAMED,
            "python": str(home / "bin/python"),
            "directory": str(home / "MindSpeed-LLM"),
        },
    } | changes
    return replace(Hardware("node", "Ascend", 2, 1, 8, 0, "localhost", 6000, chip="910B3"), **settings)
