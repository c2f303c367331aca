"""Bytes that a plan will leave on disk, and those of them that are there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from distillery.planning.plan_step import Step


@dataclass(frozen=True)
class Disk:
    """Bytes: of these steps' files now and at the end, which is the peak, and still to be written."""

    now: float
    end: float
    missing: float


def of(steps: Iterable[Step], directory: Path) -> Disk:
    """What steps leave below a directory; what several experiments share counts once."""
    sizes: dict[str, float] = {}
    for step in steps:
        if step.leaves and step.disk_bytes:
            sizes[step.leaves] = max(sizes.get(step.leaves, 0), step.disk_bytes)
    there = {
        leaves: sum(bytes_of(path) for path in directory.glob(leaves)) if directory.is_dir() else 0
        for leaves in sizes
    }
    missing = sum(max(0, sizes[leaves] - there[leaves]) for leaves in sizes)
    return Disk(sum(there.values()), sum(sizes.values()), missing)


def bytes_of(place: Path) -> int:
    """Bytes of a file or of all files below a directory; links count nothing."""
    if place.is_symlink() or not place.exists():
        return 0
    if place.is_file():
        return place.stat().st_size
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file() and not path.is_symlink())
