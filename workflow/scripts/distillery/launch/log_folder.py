"""The folder of a launch's ranks' logs: one launch writes there at a time, and all its nodes see it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distillery.launch import devices, msrun
from distillery.one_writer import NO_LOCKS
from distillery.problems import Problem


@contextmanager
def alone(job: msrun.Job) -> Iterator[tuple[int, ...]]:
    """Hold the log folder, as long as any of the job's processes lives: they inherit the descriptor.

    Raises:
        Problem: another launch writes its ranks' logs there, and follows them.
    """
    job.log_dir.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = devices.try_lock(job.log_dir / f"node{job.node_rank}.lock")
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        yield ()  # a shared disk without locks
        return
    if descriptor is None:
        raise Problem(
            "another launch is using this folder for its ranks' logs",
            where=job.log_dir,
            fix="wait until it has ended, or give another --log-dir",
        )
    try:
        yield (descriptor,)
    finally:
        os.close(descriptor)


def check_shared(log_dir: Path, node_rank: int) -> None:
    """All nodes must write into the same folder: node 0 leaves a mark that the others look for.

    Raises:
        Problem: the mark did not show up within a minute.
    """
    mark = log_dir / "shared"
    if node_rank == 0:
        log_dir.mkdir(parents=True, exist_ok=True)
        mark.touch()
        return
    for _ in range(120):
        if mark.exists():
            return
        time.sleep(0.5)
    raise Problem(
        f"node {node_rank} does not see what node 0 writes",
        where=mark,
        wanted="a folder on a disk that all nodes share, under the same path",
        fix="run the workflow from a shared disk",
    )
