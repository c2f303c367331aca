"""A job struck at one act after the other, and what has to be true afterwards: taught, whole, and completed by a rerun."""

from __future__ import annotations

import itertools
import re
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import fault_limits
import fault_points
from fault_points import FAIL, FULL, INTERRUPT, KILL, Fault
from finished_runs import Job, copied

TAUGHT = {
    KILL: re.compile(""),
    FULL: re.compile(r"No space left on device|disk is full|is full|no room"),
    FAIL: re.compile(r"Input/output error|the disk"),
    INTERRUPT: re.compile("interrupted|run the same command again"),
}
WORK = re.compile("/train/work/")


@dataclass
class Campaign:
    """A job of a finished run, struck in a copy of it.

    Attributes:
        struck: acts at which a fault happened.
        reruns: reruns that were tried: a state that was completed once is completed each time.
        faults: what is wrong, a line each.
    """

    job: Job
    finished: Path
    copy: Path
    struck: int = 0
    reruns: int = 0
    faults: list[str] = field(default_factory=list)
    _completed: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._whole = fault_points.state(self.finished)

    def _here(self, do: str = "") -> dict[str, str]:
        """What stands in the copy. An interrupted training saves at once: what it may go on from lies at other steps."""
        here = fault_points.state(self.copy)
        if do != INTERRUPT:
            return here
        kept = {name: digest for name, digest in here.items() if not WORK.search(name)}
        return kept | {name: digest for name, digest in self._whole.items() if WORK.search(name)}

    def strike(self, do: str, points: Iterable[int] | None = None) -> None:
        """Try these acts, or one after the other until the job has no n-th."""
        for at in points or itertools.count(1):
            if not self._struck(do, at):
                return

    def acts(self, do: str) -> int:
        """How many acts there are to strike."""
        return self._run(Fault(do))[1].acts

    def _unmade(self) -> Path:
        """The copy, anew, without what the job makes."""
        copied(self.finished, self.copy)
        for name in self.job.wrote:
            (self.copy / name).unlink()
        return self.copy

    def _run(self, fault: Fault) -> tuple[subprocess.CompletedProcess[str], fault_points.Disk]:
        return fault_points.run(self.job, self._unmade(), fault)

    def _struck(self, do: str, at: int) -> bool:
        end, disk = self._run(Fault(do, at))
        said, here = end.stdout + end.stderr, self._here(do)
        # of two threads' acts the one that was counted first need not be noted first, nor at all before the kill
        act = next(iter(disk.trace[at - 1 : at]), "not noted") if disk.happened else "not reached"
        place = f"{self.job.rule}, {do} at {at} ({act})"
        if not disk.happened:
            if end.returncode or here != self._whole:
                self.faults.append(f"{place}: undisturbed, exit {end.returncode}: {said[-900:]}")
            return False
        self.struck += 1
        if do == KILL:
            if end.returncode != -signal.SIGKILL:
                self.faults.append(f"{place}: exit {end.returncode} of a killed command")
        elif end.returncode == 0 and here != self._whole:
            self.faults.append(f"{place}: silent, {self._difference(here)}")
        elif end.returncode and ("defect" in said or "Traceback" in said or not TAUGHT[do].search(said)):
            self.faults.append(f"{place}: exit {end.returncode}, not taught: {said[-900:]}")
        self._is_whole(place, here)
        self._complete(place, here, do)
        return True

    def limited(self, limit: fault_limits.Limit) -> bool:
        """Whether a limit struck the job: taught, with nothing half-written; and completed once the limit is gone."""
        end = fault_limits.run(self.job, self._unmade(), limit)
        said, here = end.stdout + end.stderr, fault_points.state(self.copy)
        place = f"{self.job.rule}, {limit.name}"
        if end.returncode == 0:
            if here != self._whole:
                self.faults.append(f"{place}: silent, {self._difference(here)}")
            return False
        taught = "error: " in said and "fix: " in said and re.search(limit.says, said)
        if not taught or "defect" in said or "Traceback" in said:
            self.faults.append(f"{place}: exit {end.returncode}, not taught: {said[-1500:]}")
        self._is_whole(place, here)
        self._complete(place, here)
        return True

    def _is_whole(self, place: str, here: dict[str, str]) -> None:
        """What the job makes is there as in an undisturbed run, or not at all."""
        wrong = [name for name in self.job.wrote if here.get(name, self._whole[name]) != self._whole[name]]
        if wrong:
            self.faults.append(f"{place}: half-written {wrong}")

    def set_back(self, seconds: int) -> None:
        """The clock is set back at the third act: the job ends as it does undisturbed."""
        end, disk = self._run(Fault("back", 3, {"FAULT_SECONDS": str(seconds)}))
        assert disk.happened
        if end.returncode or fault_points.state(self.copy) != self._whole:
            self.faults.append(f"{self.job.rule}, clock set back: {end.stderr[-900:]}")

    def show_late(self, name: str, looks: int) -> bool:
        """A file is not there for the first looks: taught by its name, or equal; and the rerun completes. False: not so many."""
        end, disk = self._run(Fault("late", 0, {"FAULT_LATE": f"{name}:{looks}"}))
        said, here = end.stdout + end.stderr, fault_points.state(self.copy)
        place = f"{self.job.rule}, {name} late by {looks} looks"
        if end.returncode == 0 and here != self._whole:
            self.faults.append(f"{place}: silent, {self._difference(here)}")
        elif end.returncode and ("defect" in said or Path(name).name not in said):
            self.faults.append(f"{place}: exit {end.returncode}, not taught: {said[-900:]}")
        self._complete(place, here)
        return disk.looks > looks

    def _complete(self, place: str, here: dict[str, str], do: str = "") -> None:
        """Run the job once more: all is as in an undisturbed run, and nothing else is there."""
        if here == self._whole or here in self._completed:
            return
        self._completed.append(here)
        self.reruns += 1
        end, _ = fault_points.run(self.job, self.copy, Fault())
        after = self._here(do)
        if end.returncode or after != self._whole:
            self.faults.append(
                f"{place}: rerun exit {end.returncode}, {self._difference(after)}: {(end.stdout + end.stderr)[-900:]}"
            )

    def _difference(self, found: dict[str, str]) -> str:
        names = {*found, *self._whole}
        return str(sorted(name for name in names if found.get(name) != self._whole.get(name)))
