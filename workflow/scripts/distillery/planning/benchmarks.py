"""What jobs took, from Snakemake's benchmark files and the samples beside them. They are no outputs, and may be missing."""

from __future__ import annotations

import csv
from pathlib import Path

from distillery import resource_samples

MEBIBYTE = 2**20
SMALLEST = 20  # MiB: less is the shell before Python has started, as Snakemake sees of a job of a second


def measured(directory: Path, pattern: str) -> tuple[float | None, float | None]:
    """(seconds of all jobs together, 10^6 bytes of the one that took most); None for what was not measured.

    Snakemake looks at a job's memory every half minute: of a short one it often sees nothing, or too little. Samples
    are closer, and count where there are some.

    Args:
        pattern: of the jobs' benchmark files, below `directory`.
    """
    seconds, megabytes = 0.0, 0.0
    found = sorted(directory.glob(pattern))
    for path in found:
        with path.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines, delimiter="\t"):
                seconds += float(row["s"])
                if (seen := _number(row["max_rss"])) > SMALLEST:
                    megabytes = max(megabytes, seen * MEBIBYTE / 1e6)
        samples = resource_samples.read(path.with_suffix(".samples.jsonl"))
        megabytes = max([megabytes, *(one["memory_megabytes"] for one in samples)])
    return (seconds if found else None), megabytes or None


def _number(text: str) -> float:
    """0 for Snakemake's `NA` and `-`."""
    try:
        return float(text)
    except ValueError:
        return 0.0
