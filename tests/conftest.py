"""Fixtures that several rooms share, which tests run side by side, and what took long. See tests/README.md."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from house import HOSTILE_NAME, House
from places import FIXTURES, ROOT
from qwen import qwen_tokenizer  # noqa: F401
from shared import once
from xdist.scheduler import LoadScopeScheduling

from distillery import blas_threads
from distillery.engine import mindspore_import

# every command that is started would compile the library anew: a second of CPU, hundreds of times
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# OpenMP's threads spin while they wait: torch's, on cores that other tests compute on, took ten times the CPU of its work
os.environ["OMP_WAIT_POLICY"] = "passive"
os.environ.setdefault(blas_threads.VARIABLE, "1")
os.environ.setdefault(*mindspore_import.AT_ONCE)  # for tests that import MindSpore themselves

SECONDS = 60  # the longest that a test may take on an idle machine
# the same examples in every run: a failure is the change's, not the day's
hypothesis.settings.register_profile("fixed", deadline=None, derandomize=True)
hypothesis.settings.load_profile("fixed")

# files with these marks start first, so that the quick ones fill what is left of the processes' time; --quick is without them
SLOW = ("slurm", "long", "msrun", "mindspore", "slow")
# what takes each process tenths of a second to import, and the quick tests of a file may never need (support/lazy.py)
HEAVY = {"matplotlib", "pandas", "sympy", "torch"}
# fixtures for which a command computes with MindSpore
RUNS = {"finished", "embedded", "parts"}


class ByFile(LoadScopeScheduling):
    """Each file on one process of pytest-xdist, for its fixtures' sake."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        if path.startswith("tests/faults/") and self.config.getoption("whole"):
            return nodeid  # hours in few files, whose fixtures the session shares
        return path


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    config.option.loadscopereorder = False  # the order is ours
    return ByFile(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--whole",
        action="store_true",
        help="try every damage, act and race of tests/faults, as `make faults` does",
    )
    parser.addoption("--quick", action="store_true", help=f"leave out what is marked {', '.join(SLOW)}")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With --quick a file that bears such a mark as a whole is not even imported: MindSpore and torch take seconds."""
    if not config.getoption("quick") or collection_path.suffix != ".py":
        return None
    whole = re.search(r"^pytestmark = \[?pytest\.mark\.(\w+)", collection_path.read_text(), re.MULTILINE)
    return True if whole and whole[1] in SLOW else None


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, Any, Any]:
    """What is imported and collected stays to the end: Python's collector of cycles need not look at it, again and again."""
    gc.disable()
    before = set(sys.modules)
    try:
        collected = yield
        quick = {"mindspore"} if session.config.getoption("quick") else set()
        if early := (HEAVY | quick).intersection(set(sys.modules) - before):
            raise pytest.UsageError(
                f"files of tests import {sorted(early)}, not only their tests do: see support/lazy.py"
            )
        return collected
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(50_000)  # as the commands do that compile graphs


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what asks for a finished run, leave out what is not asked for, and put slow files first."""
    marks: dict[Path, set[str]] = {}
    for item in items:
        if RUNS.intersection(item.fixturenames):
            item.add_marker("mindspore")
        marks.setdefault(item.path, set()).update(mark.name for mark in item.iter_markers())
    left_out = [] if config.getoption("whole") else ["whole"]
    if config.getoption("quick"):
        left_out += SLOW
    others = {item for item in items if any(map(item.get_closest_marker, left_out))}
    config.hook.pytest_deselected(items=[item for item in items if item in others])
    items[:] = [item for item in items if item not in others]
    items.sort(key=lambda item: [mark not in marks[item.path] for mark in SLOW])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what took too long. It fails nothing: on a busy machine all of it would."""
    reports = [report for group in ("passed", "failed") for report in terminalreporter.getreports(group)]
    slow = sorted(((one.duration, one.nodeid) for one in reports if one.duration > SECONDS), reverse=True)
    if slow:
        terminalreporter.section(f"tests of more than {SECONDS} s")
        for duration, name in slow:
            terminalreporter.line(f"{duration:6.0f} s  {name}")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The project, cloned into a folder of a hostile name, with the small experiment run to its report; a copy for each process."""
    small = FIXTURES / "workflow/small.yaml"
    made = once(
        tmp_path_factory, "finished", lambda folder: House(folder / HOSTILE_NAME, small).run(own=True)
    )
    return House(made / HOSTILE_NAME).copied(tmp_path_factory.mktemp("finished") / HOSTILE_NAME)


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The project with its default experiment run to its report, to be looked at only: a minute of training on two cores."""
    return House(
        once(
            tmp_path_factory,
            "embedded",
            lambda folder: House(folder, ROOT / "config/config.yaml").run(),
        )
    )


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training of a tiny model starts from, to be looked at only: `train_parts.make` says what it holds."""
    import train_parts

    return once(tmp_path_factory, "parts", train_parts.make)
