"""A file is damaged, the command that reads it next is run, and the outcome is judged.

An outcome is one of `taught` (a Problem that names the file), `harmless` (what the command writes is equal, byte for byte),
or a fault: `silent`, `traceback`, `signal`, `unnamed`.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from finished_runs import Job, copied, run

FINE = ("taught", "harmless")


def flipped(data: bytes, where: float) -> bytes:
    """With one bit turned, `where` of the way through the file."""
    if not data:
        return b"\x10"
    at = min(int(len(data) * where), len(data) - 1)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


DAMAGES = {
    "flip": lambda mine, other: flipped(mine, 0.5),
    "flip early": lambda mine, other: flipped(mine, 0.2),
    "flip late": lambda mine, other: flipped(mine, 0.9),
    "cut": lambda mine, other: mine[: len(mine) // 2],
    "empty": lambda mine, other: b"",
    "swap": lambda mine, other: other,
}


@dataclass(frozen=True)
class Case:
    """A file, what is done to it, and the job that reads it next."""

    name: str
    damage: str
    job: Job

    def __str__(self) -> str:
        return f"{self.name} {self.damage} -> {self.job.rule}"


def cases(made: list[str], jobs: list[Job], damages: list[str]) -> Iterator[Case]:
    """Every file that a job reads, damaged in each way, before each job that reads it."""
    for name in made:
        for job in jobs:
            if job.reads(name):
                for damage in damages:
                    yield Case(name, damage, job)


def outcome(case: Case, finished: Path, other: Path | None, copy: Path) -> tuple[str, str]:
    """(what came of it, what was said), in a fresh `copy` of a `finished` run; `other` is the other experiment's, for a swap."""
    copied(finished, copy)
    mine = (finished / case.name).read_bytes()
    damaged = DAMAGES[case.damage](mine, _twin(case.name, other).read_bytes() if other else b"")
    if damaged == mine:
        return "harmless", "equal in both experiments"
    for name in case.job.wrote:
        (copy / name).unlink()
    (copy / case.name).write_bytes(damaged)
    end = run(case.job, copy)
    return judged(end, Path(case.name), case.job, finished, copy), end.stdout + end.stderr


def _twin(name: str, other: Path) -> Path:
    """The other experiment's file of that name; folders of runs are named by digests."""
    (found,) = other.glob(re.sub(r"/work/\w+/", "/work/*/", name))
    return found


def judged(end: subprocess.CompletedProcess[str], name: Path, job: Job, finished: Path, copy: Path) -> str:
    """The outcome of a job that read a damaged file."""
    said = end.stdout + end.stderr
    if end.returncode < 0:
        return f"signal {signal.Signals(-end.returncode).name}"
    if "Traceback" in said or "a defect of this command" in said:
        return "traceback"
    if end.returncode:
        # of files that are known by one digest together, the folder is named
        places = [name.name, *(str(folder) for folder in name.parents if len(folder.parts) > 2)]
        return "taught" if "error: " in said and any(one in said for one in places) else "unnamed"
    equal = all(
        (copy / one).is_file() and (copy / one).read_bytes() == (finished / one).read_bytes()
        for one in job.wrote
    )
    return "harmless" if equal else "silent"
