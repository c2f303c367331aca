"""Parsers of bytes that others wrote: any damage is read, or ends in a Problem, in bounds of time and memory (fuzz_worker.py).

`make faults` draws a thousand examples a parser, others in every run; `make test` a few, always the same.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fuzz_parsers import PARSERS
from places import ROOT, SCRIPTS, SUPPORT

from distillery import config
from distillery.problems import Problem

pytestmark = [pytest.mark.faults, pytest.mark.slow]
CONFIG = ROOT / "config/config.yaml"
SHARE = 12  # examples of each without --whole
# a renderer is a process: a tenth of the examples
STARTS_PROCESSES = {"template"}


def fuzzed(folder: Path, examples: int, seed: int, names: list[str]) -> str:
    words = [sys.executable, SUPPORT / "fuzz_worker.py", folder / "target", examples, seed, *names]
    folder.mkdir(exist_ok=True)
    env = {**os.environ, "PYTHONPATH": f"{SCRIPTS}{os.pathsep}{SUPPORT}"}
    done = subprocess.run([*map(str, words)], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"seed {seed}\n{done.stdout}\n{done.stderr[-6000:]}"
    return done.stdout


def test_any_damage_is_read_or_a_problem(tmp_path, whole):
    if not whole:
        said = fuzzed(tmp_path, SHARE, 0, [*PARSERS])
        assert said.count(f": {SHARE} examples") == len(PARSERS)
        return
    seed = int.from_bytes(os.urandom(3))
    for name in PARSERS:
        said = fuzzed(tmp_path / name, 100 if name in STARTS_PROCESSES else 1000, seed, [name])
        assert said.startswith(name), said


ODD = (None, [], "x", 5, -1, True, {}, [None], [{}], {"a": None}, float("inf"))


def test_a_configuration_with_an_odd_value_anywhere_is_taken_or_a_problem():
    from fuzz_worker import places, replaced

    whole = yaml.safe_load(CONFIG.read_text())
    refused = 0
    for place in places(whole):
        for value in ODD:
            with contextlib.suppress(Problem):
                config.load(replaced(whole, place, value))
                continue
            refused += 1
    assert refused > 300
    said = pytest.raises(Problem, config.load, replaced(whole, ("problem_sets", "arithmetic-heldout"), None))
    assert "problem_sets.arithmetic-heldout: found None (NoneType), wanted a value of type object" in str(
        said.value
    )
