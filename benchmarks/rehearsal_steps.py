"""Steps of the rehearsal: commands run one after another or two at a time, and what each took beside what was planned.

    run = Rehearsal(folder, Path("table.md"))
    run.step("merge", [["python", "merge.py"]], planned={"seconds": 24.0, "host_bytes": 1e8, "disk_bytes": 6e9})
    run.end()

The table is written anew after every step, so that what was measured stays whatever comes after it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

GB = 1e9
HEAD = """\
| step | wall s | planned | CPU s | largest process GB | planned | disk GB | planned |
|---|---|---|---|---|---|---|---|"""


class Failed(Exception):
    """A command of a step ended with another status than 0."""


@dataclass(frozen=True)
class Row:
    """What a step took: seconds of wall and CPU, bytes of its largest process, and by how much the disk's use grew."""

    step: str
    seconds: float
    cpu: float
    memory: float
    disk: float
    planned: Mapping[str, float | None]

    def __str__(self) -> str:
        wanted = [
            "" if (value := self.planned.get(key)) is None else f"{value / unit:.{digits}f}"
            for key, unit, digits in (("seconds", 1, 0), ("host_bytes", GB, 2), ("disk_bytes", GB, 1))
        ]
        found = [f"{self.cpu:.1f}", f"{self.memory / GB:.2f}", f"{self.disk / GB:.1f}"]
        cells = [self.step, f"{self.seconds:.1f}", wanted[0], *found[:2], wanted[1], found[2], wanted[2]]
        return f"| {' | '.join(cells)} |"


class Rehearsal:
    """Runs steps in a folder and keeps their rows.

    Args:
        table: the file that shows them.
    """

    def __init__(self, folder: Path, table: Path):
        self.folder, self.table = folder, table
        self.rows: list[Row] = []
        self.notes: list[str] = []
        self.failed: list[str] = []
        self.most = 0
        self._stop = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._stop.wait(1.0):
            self.most = max(self.most, used(self.folder))

    def step(
        self,
        name: str,
        lines: Sequence[Sequence[str]],
        planned: Mapping[str, float | None] | None = None,
        at_once: int = 1,
    ) -> tuple[Row, str]:
        """Run commands as one step -> (its row, all that they said).

        Raises:
            Failed: a command failed, with its last lines.
        """
        os.sync()  # what earlier steps left to be written is not this one's
        before, began = used(self.folder), time.perf_counter()
        with ThreadPoolExecutor(at_once) as pool:
            done = list(pool.map(self._run, lines))
        seconds = time.perf_counter() - began
        after = used(self.folder)
        self.most = max(self.most, after)
        for line, (status, said, *_) in zip(lines, done, strict=True):
            if status:
                raise Failed(f"{name}: status {status} of {' '.join(line)}\n{said[-3000:]}")
        cpu, memory = sum(one[2] for one in done), max(one[3] for one in done)
        self.rows.append(Row(name, seconds, cpu, memory, after - before, planned or {}))
        self.write()
        print(self.rows[-1], flush=True)
        return self.rows[-1], "".join(one[1] for one in done)

    def _run(self, line: Sequence[str]) -> tuple[int, str, float, int]:
        print("+", *line, flush=True)
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(line, stdout=said, stderr=said, cwd=self.folder)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            text = said.read().decode(errors="replace")
        return process.returncode, text, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024

    def part(self, name: str, work: Callable[[], None]) -> bool:
        """Do what has steps; if one fails, say so, keep the rows, and return False."""
        try:
            work()
        except Failed as problem:
            self.failed.append(f"{name} is not complete: {problem}")
            print(self.failed[-1], flush=True)
            self.write()
            return False
        return True

    def note(self, text: str) -> None:
        """A line to stand below the table."""
        self.notes.append(text)
        print(text, flush=True)
        self.write()

    def drop(self, *names: str) -> None:
        """Remove what no later step reads."""
        for name in names:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def write(self) -> None:
        """The table as it is now."""
        below = [*self.notes, f"most disk in use: {self.most / GB:.1f} GB", *self.failed]
        self.table.parent.mkdir(parents=True, exist_ok=True)
        self.table.write_text("\n".join([HEAD, *map(str, self.rows), "", *below]) + "\n")

    def end(self) -> None:
        """Stop looking at the disk."""
        self._stop.set()
        self.write()


def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """A call in a process of its own: Linux counts the peak of whoever starts a command as the command's."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def used(folder: Path) -> int:
    """Bytes of all files below a folder, each once whatever its names; those that go meanwhile count nothing."""
    sizes: dict[int, int] = {}
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                seen = os.lstat(os.path.join(base, name))
            except OSError:
                continue
            sizes[seen.st_ino] = seen.st_size
    return sum(sizes.values())
