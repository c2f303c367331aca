"""Which Python the commands run under: the one of `.venv`, said to whoever took another."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from distillery.problems import Problem

ROOT = Path(__file__).resolve().parents[3]


def of_interpreter(package: str | None) -> Problem:
    """What to do about a package that this interpreter lacks."""
    venv = ROOT / ".venv/bin/python"
    mine = Path(sys.prefix) == ROOT / ".venv"
    here = venv.relative_to(Path.cwd()) if venv.is_relative_to(Path.cwd()) else venv
    old = sys.version_info < (3, 11)
    return Problem(
        "this Python is too old" if old else "this Python lacks a package",
        where=sys.executable,
        found=sys.version.partition(" ")[0] if old else f"no module named {package}",
        wanted="Python 3.11 or 3.12" if old else "the packages of envs/requirements.txt",
        fix="install them again: rm .venv/run.lock, then `make setup`"
        if mine
        else f"`make setup` if {here} is not there, then {shlex.join([str(here), *sys.argv])}",
    )
