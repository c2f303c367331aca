"""What a run shows: one JSON line per step, a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from distillery import digests, files
from distillery.problems import Problem
from distillery.terminal_text import drawn, printable

PATIENCE = 30  # seconds without a line, after which a slow step is shown out of turn


class Metrics:
    """A JSON-lines file with one record per step, cut back to `done` steps when a run resumes."""

    def __init__(self, path: Path, done: int):
        cut(path, done)
        self._stream = path.open("a", encoding="utf-8")

    def add(self, record: dict[str, Any]) -> None:
        self._stream.write(json.dumps(record) + "\n")
        self._stream.flush()

    def sync(self) -> None:
        """What is recorded survives a power cut from here on."""
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        self._stream.close()


def cut(path: Path, done: int) -> None:
    """Forget the records after step `done`; and all, with a word, where they are not those that a finished run left."""
    records = read(path)
    try:
        if path.exists():
            digests.check_file(path)
    except Problem as problem:
        print(f"{path}: {problem.what}: no record of it is kept; for them remove {path.parent}", flush=True)
        records = []
    files.remove(digests.beside(path))
    kept = [record for record in records if record["iteration"] <= done]
    files.write_text(path, "".join(json.dumps(record) + "\n" for record in kept))


def read(path: Path) -> list[dict[str, Any]]:
    """The records of a metrics file, up to the first line that a killed run or a power cut left unfinished."""
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(record, dict) or type(record.get("iteration")) is not int:
            break
        records.append(record)
    return records


class Display:
    """A live bar if standard error is a terminal, else a line every `interval` steps and at least every PATIENCE."""

    def __init__(self, total: int, done: int, interval: int):
        self.total, self.interval = total, interval
        self._said = time.monotonic()
        self._bar = None
        if sys.stderr.isatty():
            whole = Column(no_wrap=True)  # 80 columns must do; only the bar may shrink
            columns = [
                MofNCompleteColumn(table_column=whole),
                BarColumn(bar_width=None, table_column=Column(ratio=1)),
                TimeRemainingColumn(table_column=whole.copy()),
                TextColumn("{task.fields[text]}", table_column=whole.copy()),
            ]
            self._bar = Progress(*columns, console=Console(file=drawn(sys.stderr)), expand=True)
            self._task = self._bar.add_task("", total=total, completed=done, text="compiling")
            self._bar.start()

    def step(self, iteration: int, record: dict[str, Any]) -> None:
        """Show a step's record of the metrics: all of it in a line, loss and speed beside the bar."""
        loss, speed = f"loss {record['loss']:.4f}", f"{record['tokens_per_second']:.0f} tokens/s"
        if "tflops" in record:
            speed += f"  {record['tflops']:.3f} TFLOP/s"
        if self._bar is not None:
            self._bar.update(self._task, completed=iteration, text=f"{loss}  {speed}")
        elif iteration % self.interval == 0 or iteration == self.total or self._quiet() > PATIENCE:
            rate = f"lr {record['lr']:.2e}  grad norm {record['grad_norm']:.3f}"
            self.say(f"step {iteration}/{self.total}  {loss}  {rate}  {speed}")

    def _quiet(self) -> float:
        return time.monotonic() - self._said

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._bar is not None:
            self._bar.console.print(printable(text), markup=False)
        else:
            print(text, file=sys.stderr, flush=True)
            self._said = time.monotonic()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()


class Silent:
    """In place of Metrics and Display on ranks that have nothing to add."""

    def add(self, record: dict[str, Any]) -> None: ...
    def sync(self) -> None: ...
    def step(self, iteration: int, record: dict[str, Any]) -> None: ...
    def say(self, text: str) -> None: ...
    def close(self) -> None: ...


def memory_megabytes() -> int:
    """Resident memory of this process in units of 10^6 bytes."""
    return psutil.Process().memory_info().rss // 10**6
