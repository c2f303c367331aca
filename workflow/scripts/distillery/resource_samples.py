"""Resource samples beside a job: NPUs through npu-smi where there is one, processes through psutil.

    with Sampler(Path("samples.jsonl")):       # this process and all its descendants
        train()

One JSON line a sample: seconds since the start, resident memory and CPU use (since the sample before) of the process
tree, and HBM, AI core, power and temperature of the job's chips; the first has what the machine is too. Samples come every half second at first, every five
seconds from the first minute on, and once more at the end. It runs in a thread of its own and never fails the job:
what goes wrong ends the sampling, with a line that says so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import psutil

from distillery import json_files, json_shapes, npu_smi
from distillery.problems import Problem

INTERVAL_SECONDS = 5.0
FIRST_SECONDS = 0.5
# between: a tenth of the time so far, so that a job of seconds has a course too
SHARE = 0.1
NPU_SMI_SECONDS = 20
VISIBLE = "ASCEND_RT_VISIBLE_DEVICES"


class Sampler:
    """A context manager; the file is written anew and grows line by line."""

    def __init__(
        self, path: Path, devices: Sequence[int] | None = None, interval: float = INTERVAL_SECONDS
    ) -> None:
        """Where samples go, and how often they are taken.

        Args:
            devices: the job's chips, by their numbers in npu-smi's order; None: all of them.
            interval: longest time between samples.
        """
        self._path, self._devices, self._interval = path, devices, interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        # a last sample is under way at most; npu-smi may hang with its driver, the job must not
        self._thread.join(timeout=2)

    def _run(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("w", encoding="utf-8") as stream:
                self._sample(stream)
        except OSError:
            # no disk to write to: the job's own output will tell
            return

    def _sample(self, stream: TextIO) -> None:
        from distillery import (
            machine,
        )  # each start of the workflow knows of this module, and takes no samples

        tree, start = _Tree(), time.monotonic()
        first = True
        while True:
            over = self._stop.is_set()
            seconds = round(time.monotonic() - start, 1)
            try:
                record = {"seconds": seconds, **tree.sample(), "chips": self._chips()}
                record |= {"machine": machine.described()} if first else {}
                first = False
            except (psutil.Error, subprocess.SubprocessError, ValueError) as error:
                record = {"seconds": seconds, "stopped": f"{type(error).__name__}: {error}"}
            stream.write(json.dumps(record) + "\n")
            stream.flush()
            if "stopped" in record or over:
                return
            # woken at the end, for the last sample
            self._stop.wait(min(self._interval, max(FIRST_SECONDS, SHARE * seconds)))

    def _chips(self) -> list[dict[str, Any]]:
        found = chips()
        # numbers that fit none are of another count: then all
        return [chip for number, chip in enumerate(found) if number in (self._devices or ())] or found


class _Tree:
    """This process and its descendants. CPU use needs two looks at the same process object."""

    def __init__(self) -> None:
        self._known: dict[int, psutil.Process] = {}

    def sample(self) -> dict[str, Any]:
        own = psutil.Process()
        alive = {one.pid: one for one in [own, *own.children(recursive=True)]}
        self._known = {pid: self._known.get(pid, one) for pid, one in alive.items()}
        memory, cpu = 0, 0.0
        for one in self._known.values():
            try:
                memory += one.memory_info().rss
                cpu += one.cpu_percent()
            except psutil.NoSuchProcess:
                continue
        return {
            "processes": len(self._known),
            "memory_megabytes": memory // 10**6,
            "cpu_percent": round(cpu, 1),
        }


def beside(log: Path) -> Path:
    """The samples of the job that writes this log; of a benchmark or another file of the job the same."""
    return log.with_suffix(".samples.jsonl")


def visible(environment: Mapping[str, str]) -> list[int] | None:
    """The chips that a job sees, by their numbers; None where nothing says which."""
    listed = environment.get(VISIBLE, "").replace(" ", "").split(",")
    return [int(number) for number in listed] if all(number.isdigit() for number in listed) else None


def chips() -> list[dict[str, Any]]:
    """What npu-smi says of every chip now; [] where there is no npu-smi.

    Raises:
        subprocess.SubprocessError: it failed, or did not answer.
    """
    if shutil.which("npu-smi") is None:
        return []
    done = subprocess.run(
        ["npu-smi", "info"], capture_output=True, text=True, check=True, timeout=NPU_SMI_SECONDS
    )
    return [asdict(chip) for chip in npu_smi.parse(done.stdout)]


def read(path: Path) -> list[dict[str, Any]]:
    """The samples of a file, without an unfinished last line and without the line that says why it stopped.

    None of a file that is damaged, or another program's: measurements may be missing, and whoever shows them says so.
    """
    if not path.exists():
        return []
    try:
        data = path.read_bytes()
        records = [json_files.parse(line, path) for line in data[: data.rfind(b"\n") + 1].splitlines()]
        samples = [record for record in records if "stopped" not in record]
        for one in samples:
            json_files.fit(one, json_shapes.SAMPLE, str(path))
    except Problem:
        return []
    return samples


def last(path: Path) -> dict[str, Any]:
    """The newest sample of a file, {} without one."""
    return (read(path) or [{}])[-1]
