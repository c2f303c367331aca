"""Two hands start the same command at once: both end well, or one is told of the other; nothing is lost or left over."""

from __future__ import annotations

import re
from pathlib import Path

import forked
import pytest
from finished_runs import COMMANDS, Job, copied, listed

pytestmark = pytest.mark.mindspore
SHARE = 5  # of so many commands one is tried without --whole
TOLD = re.compile("another (process|run)")
STRAY = (".partial", ".old", ".next", ".lock", ".journal", ".fetch", ".scratch")


@pytest.mark.faults
def test_every_command_that_writes_is_tried(jobs):
    assert {job.rule for job in jobs} == {*COMMANDS}


@pytest.mark.faults
def test_two_writers_lose_nothing(run, jobs, whole, tmp_path):
    first = {job.rule: job for job in reversed(jobs)}
    for command in sorted(COMMANDS)[:: 1 if whole else SHARE]:
        job, copy = first[command], tmp_path / command
        copied(run / "run", copy)
        for name in job.wrote:
            (copy / name).unlink()
        both = [forked.start(Path(job.argv[0]).name, *job.argv[1:], cwd=copy) for _ in range(2)]
        ends = [(one.wait(300), *one.communicate()) for one in both]
        assert 0 in [code for code, *_ in ends], (command, ends)
        for code, _, wrong in ends:
            assert code == 0 or (code == 1 and TOLD.search(wrong)), (command, wrong)
        check(job, run / "run", copy)


def check(job: Job, finished: Path, copy: Path) -> None:
    """All outputs are there, equal to those of one writer, and nothing else is."""
    unequal = [name for name in job.wrote if (copy / name).read_bytes() != (finished / name).read_bytes()]
    assert not unequal
    assert listed(copy).keys() == listed(finished).keys()
    left = [path for path in copy.rglob(".*") if path.name.endswith(STRAY) and "logs" not in path.parts]
    assert not left
