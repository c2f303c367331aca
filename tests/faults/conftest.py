"""A finished run of the small experiment with its jobs, and another experiment's, to damage and to run anew."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import finished_runs
import pytest
from finished_runs import ANOTHER, SMALL, Job
from shared import once


def make(folder: Path, text: str) -> None:
    """An experiment, run, and jobs.json, its jobs."""
    jobs = finished_runs.ran(folder / "run", text)
    (folder / "jobs.json").write_text(json.dumps([dataclasses.asdict(job) for job in jobs]))


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "damaged", lambda folder: make(folder, SMALL.read_text()))


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory, whole: bool) -> Path | None:
    """Another experiment, whose files are whole and wrong here; only where files are swapped."""
    text = SMALL.read_text()
    for mine, its in ANOTHER.items():
        assert mine in text
        text = text.replace(mine, its)
    return once(tmp_path_factory, "another", lambda folder: make(folder, text)) / "run" if whole else None


@pytest.fixture(scope="session")
def jobs(run: Path) -> list[Job]:
    listed = json.loads((run / "jobs.json").read_text())
    return [Job(**{key: one if key == "rule" else tuple(one) for key, one in job.items()}) for job in listed]


@pytest.fixture(scope="session")
def whole(pytestconfig: pytest.Config) -> bool:
    return pytestconfig.getoption("whole")
