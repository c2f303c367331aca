"""What a run shows: one JSON line per step, and lines where no terminal shows how far it is."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from distillery import digests, files, json_files, progress
from distillery.problems import Problem, writing

PATIENCE = 30  # seconds without a line, after which a slow step is shown out of turn


class Metrics:
    """A JSON-lines file with one record per step, cut back to `done` steps when a run resumes."""

    def __init__(self, path: Path, done: int):
        cut(path, done)
        self._stream = path.open("a", encoding="utf-8")

    def add(self, record: dict[str, Any]) -> None:
        with writing(self._stream.name):
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
            record = json_files.loads(line)
        except ValueError:
            break
        if not isinstance(record, dict) or type(record.get("iteration")) is not int:
            break
        records.append(record)
    return records


class Display:
    """A line every `interval` steps and at least every PATIENCE, and progress for whoever shows it otherwise."""

    def __init__(self, total: int, done: int, interval: int):
        self.total, self.interval = total, interval
        self._said = time.monotonic()
        progress.begin("steps", total, done, "compiling")

    def step(self, iteration: int, record: dict[str, Any]) -> None:
        """Show a step's record of the metrics: all of it in a line, loss and speed as progress."""
        loss, speed = f"loss {record['loss']:.4f}", f"{record['tokens_per_second']:.0f} tokens/s"
        if "tflops" in record:
            speed += f"  {record['tflops']:.3f} TFLOP/s"
        progress.reached(iteration, f"{loss}  {speed}")
        due = iteration % self.interval == 0 or iteration == self.total or self._quiet() > PATIENCE
        if due and not sys.stderr.isatty():
            rate = f"lr {record['lr']:.2e}  grad norm {record['grad_norm']:.3f}"
            self.say(f"step {iteration}/{self.total}  {loss}  {rate}  {speed}")

    def _quiet(self) -> float:
        return time.monotonic() - self._said

    def say(self, text: str) -> None:
        """A line that stays."""
        print(text, file=sys.stderr, flush=True)
        self._said = time.monotonic()


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
