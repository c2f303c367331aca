"""Resource samples beside a job: NPUs through npu-smi where there is one, processes through psutil.

    with Sampler(Path("samples.jsonl")):       # this process and all its descendants, every five seconds
        train()

One JSON line a sample: seconds since the start, resident memory and CPU use of the process tree, and each chip's
HBM, AI core, power and temperature. It runs in a thread of its own and never fails the job: what goes
wrong ends the sampling, with a line that says so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import psutil

from distillery.launch import npu_smi

INTERVAL_SECONDS = 5.0
NPU_SMI_SECONDS = 20


class Sampler:
    """A context manager; the file is written anew and grows line by line."""

    def __init__(self, path: Path, interval: float = INTERVAL_SECONDS) -> None:
        self._path, self._interval = path, interval
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
        tree, start = _Tree(), time.monotonic()
        while True:
            seconds = round(time.monotonic() - start, 1)
            try:
                record = {"seconds": seconds, **tree.sample(), "chips": chips()}
            except (psutil.Error, subprocess.SubprocessError, ValueError) as error:
                record = {"seconds": seconds, "stopped": f"{type(error).__name__}: {error}"}
            stream.write(json.dumps(record) + "\n")
            stream.flush()
            if "stopped" in record or self._stop.wait(self._interval):
                return


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
    """The samples of a file, without an unfinished last line and without the line that says why it stopped."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    records = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    return [record for record in records if "stopped" not in record]


def last(path: Path) -> dict[str, Any]:
    """The newest sample of a file, {} without one."""
    return (read(path) or [{}])[-1]


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Peaks and means of a run's samples: what the report puts beside the plan's estimate.

    Memory in 10^6 bytes, HBM in MB as npu-smi counts; {} without samples.
    """
    if not records:
        return {}
    found = {
        "samples": len(records),
        "seconds": records[-1]["seconds"],
        "peak_memory_megabytes": max(record["memory_megabytes"] for record in records),
        "mean_cpu_percent": round(sum(record["cpu_percent"] for record in records) / len(records), 1),
    }
    of_chips = [chip for record in records for chip in record["chips"]]
    if of_chips:
        busy = [chip["aicore"] for chip in of_chips if chip["aicore"] is not None]
        power = [chip["power"] for chip in of_chips if chip["power"] is not None]
        found["peak_hbm_megabytes"] = max(chip["hbm_used"] for chip in of_chips)
        found["mean_aicore_percent"] = round(sum(busy) / len(busy), 1) if busy else None
        found["peak_power_watts"] = max(power, default=None)
        found["peak_temperature"] = max(
            (chip["temperature"] for chip in of_chips if chip["temperature"] is not None), default=None
        )
    return found
