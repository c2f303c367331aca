"""How many CPU threads the engine uses; must be called before MindSpore is imported."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO

_claims: list[IO[str]] = []  # lock files of this process, for as long as it lives


def limit(threads: int) -> None:
    """Give MindSpore's kernels and the native ones `threads` threads, which sleep when they have no work.

    Spinning threads (OpenMP's default) would take the core on which the next kernel runs. OpenMP's number binds
    the native kernels only: whatever MindSpore 2.10 is told (threads_num, dispatch_threads_num,
    runtime_num_threads), its matrix products use every CPU of the process. So a process that may run on more
    CPUs keeps to `threads` of them.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["OMP_WAIT_POLICY"] = "passive"
    allowed = os.sched_getaffinity(0)
    if threads < len(allowed):
        # too few left: then the kernel's scheduler shares them out better than a fixed place would
        os.sched_setaffinity(0, _claim(threads, sorted(allowed)) or allowed)


def _claim(count: int, cpus: list[int]) -> set[int]:
    """`count` CPUs that no other process of this user has claimed, or none; a claim ends with its process."""
    found: dict[int, IO[str]] = {}
    for cpu in cpus:
        stream = _lock(f"{cpu}.lock")
        if stream is not None:
            found[cpu] = stream
        if len(found) == count:
            _claims.extend(found.values())
            return set(found)
    for stream in found.values():
        stream.close()
    return set()


def _lock(name: str) -> IO[str] | None:
    """The open and locked file; None if another process holds it, or there is no place for such files."""
    try:
        directory = Path(tempfile.gettempdir()) / f"distillery-cpus-{os.getuid()}"
        directory.mkdir(exist_ok=True)
        stream = (directory / name).open("w")
    except OSError:
        return None
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        return None
    return stream
