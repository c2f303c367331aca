"""The environments that `--sdm conda` makes: what conda hands to pip is the lock, and pip reads it as it stands."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import yaml
from places import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cpu", "ascend"])
def test_pip_reads_what_conda_hands_it(name, tmp_path):
    """conda writes the list into a file of its own, away from all others (conda/env/installers/pip.py)."""
    environment = yaml.safe_load((ROOT / f"envs/{name}.yaml").read_text())
    *packages, pip = environment["dependencies"]
    assert packages == ["python=3.11", "pip"]
    handed = tmp_path / "condaenv.requirements.txt"
    handed.write_text("\n".join(pip["pip"]))
    words = ["-m", "pip", "install", "--dry-run", "--no-index", "-r", handed, "--exists-action=b"]
    done = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    satisfied = set(
        re.findall(r"^Requirement already satisfied: ([\w.\[\],-]+)==", done.stdout, re.MULTILINE)
    )
    assert {"snakemake", "mindspore", "numpy"} <= satisfied


@pytest.mark.parametrize("name", ["cpu", "ascend"])
def test_conda_gets_the_lock(name):
    lock = (ROOT / "envs/requirements.txt").read_text()
    listed = yaml.safe_load((ROOT / f"envs/{name}.yaml").read_text())["dependencies"][-1]["pip"]
    wanted = "".join(line for line in lock.splitlines(keepends=True) if not line.lstrip().startswith("#"))
    assert " ".join(listed).split() == wanted.replace("\\\n", " ").split()
