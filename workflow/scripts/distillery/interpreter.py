"""Which Python the commands run under: the one of `.venv`, said to whoever took another."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from distillery.problems import Problem, first_line

ROOT = Path(__file__).resolve().parents[3]


def of_interpreter(error: ImportError) -> Problem:
    """What to do about a package that this interpreter lacks, or cannot load."""
    if not isinstance(error, ModuleNotFoundError):
        return Problem(
            "a library cannot be loaded",
            where=error.path,
            found=first_line(error),
            wanted="the packages of envs/requirements.txt, and memory for them",
            fix="raise the limit of memory (ulimit -v) if there is one; else install them again: rm .venv/run.lock, then `make setup`",
        )
    venv = ROOT / ".venv/bin/python"
    mine = Path(sys.prefix) == ROOT / ".venv"
    here = venv.relative_to(Path.cwd()) if venv.is_relative_to(Path.cwd()) else venv
    old = sys.version_info < (3, 11)
    return Problem(
        "this Python is too old" if old else "this Python lacks a package",
        where=sys.executable,
        found=sys.version.partition(" ")[0] if old else f"no module named {error.name}",
        wanted="Python 3.11 or 3.12" if old else "the packages of envs/requirements.txt",
        fix="install them again: rm .venv/run.lock, then `make setup`"
        if mine
        else f"`make setup` if {here} is not there, then {shlex.join([str(here), *sys.argv])}",
    )
