"""One step of an experiment as a plan sees it: the jobs it is made of, what they take, and what they leave on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery import artefacts, files
from distillery.planning.memory import Memory
from distillery.row_selection import RowSelection

START_SECONDS = 0.5  # Python and its imports, of the light commands
# CPU seconds of a row (benchmarks/bench_select.py) that is looked at, whose words are compared, that may be nearly another;
# and of one whose answer is judged (benchmarks/bench_score.py, as if no two were alike)
LOOKED, COMPARED, NEAR, JUDGED = 1 / 8000, 1 / 20000, 1 / 800, 1 / 1200
COUNTED_PER_SECOND = 8.7e6  # tokens, as tokenization has them
JUDGE_BYTES, COMPARED_BYTES = 0.25e9, 2000  # of a process with sympy; of a row that others are compared with


@dataclass(frozen=True)
class Step:
    """Devices, bytes and seconds; None where nothing can be said yet.

    Attributes:
        rules: of whose jobs the step is made. They share disk, tokens, operations and seconds evenly.
        leaves: a pattern of the files that take its disk. Experiments that leave the same share the step.
        timed: a pattern of its jobs' benchmark files; samples of their resources may lie beside them.
        devices: that each job takes.
        host_bytes: memory of a job beside its devices, on the node that needs most.
        peak_bytes: what a sampler would see of one rank: on a device its memory, on a CPU the process.
    """

    name: str
    rules: tuple[str, ...]
    engine: str = "mindspore"
    leaves: str | None = None
    timed: str | None = None
    devices: int = 0
    device_memory: Memory | None = None
    host_bytes: float | None = None
    peak_bytes: float | None = None
    disk_bytes: float | None = None
    tokens: float | None = None
    flops: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Disk:
    """Bytes: of these steps' files now and at the end, which is the peak, and still to be written."""

    now: float
    end: float
    missing: float


def disk(steps: Iterable[Step], directory: Path) -> Disk:
    """What steps leave below a directory; what several experiments share counts once."""
    sizes: dict[str, float] = {}
    for step in steps:
        if step.leaves and step.disk_bytes:
            sizes[step.leaves] = max(sizes.get(step.leaves, 0), step.disk_bytes)
    there = {
        leaves: sum(files.bytes_of(path) for path in directory.glob(leaves)) if directory.is_dir() else 0
        for leaves in sizes
    }
    missing = sum(max(0, sizes[leaves] - there[leaves]) for leaves in sizes)
    return Disk(sum(there.values()), sum(sizes.values()), missing)


def totals(jobs: Iterable[Mapping[str, Any]], free: float) -> str:
    """A line of what the jobs that are due will take, as far as it can be said.

    Args:
        jobs: of a plan, each with its part of its step's numbers.
        free: bytes of the disk.
    """
    due = [job for job in jobs if job["due"]]
    time, disk, tokens = (sum(job[key] or 0 for job in due) for key in ("seconds", "disk_bytes", "tokens"))
    unknown = sum(job["seconds"] is None for job in due)
    return (
        f"in all: {len(due)} jobs, {duration(time)} if one runs after another"
        + (f" and {unknown} whose time is not known" if unknown else "")
        + f", {disk / 1e9:.3g} GB to write ({free / 1e9:.3g} GB free), {tokens:,.0f} tokens"
    )


def duration(seconds: float | None) -> str:
    """`7.9 h`, `12 min` or `34 s`."""
    if seconds is None:
        return "-"
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.2g} {name}"
    return f"{seconds:.2g} s"


def select_step(chosen: RowSelection, rows: int | None, tokens: float | None) -> Step:
    """The step that leaves rows out, rated as if no row said itself whether its answer is right.

    Args:
        rows, tokens: of the dataset; None where only the files know.
    """
    asked, seconds = chosen.filters, None
    if rows is not None and (tokens is not None or not chosen.tokens):
        each = LOOKED + COMPARED * (bool(asked.get("overlap_words")) + asked["exact_duplicates"])
        each += NEAR * asked["near_duplicates"] + JUDGED * asked["right_answer"]
        counted = (tokens or 0) / COUNTED_PER_SECOND if chosen.tokens else 0
        seconds = START_SECONDS + rows * each + counted
    made = artefacts.LEFT_OUT.of(dataset=chosen.dataset, selection=chosen.name)
    size = JUDGE_BYTES + COMPARED_BYTES * (rows or 0) * asked["near_duplicates"]
    return Step("select", ("select_rows",), "-", timed=made.benchmark, host_bytes=size, seconds=seconds)
