"""One writer of an output at a time: a lock beside it that dies with its holder.

    with one_writer.of(Path("results/d/d_manifest.json")):    # waits a little for another, then says so
        ...

Snakemake runs a job once, but people start commands by hand, unlock a directory whose job only stalled, and submit twice.
The lock is flock(2) on `.NAME.lock`: a killed holder frees it, and the file itself is removed by whoever held it last.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from distillery.problems import Problem

PATIENCE = 10.0  # seconds: longer than any small file takes, shorter than a person waits without a word
POLL = 0.05
# what file systems without locks answer, network disks among them
NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)


@contextmanager
def of(target: Path, patience: float | None = None) -> Iterator[bool]:
    """Hold `target` against other writers; yields False where the disk has no locks, which is said on standard error.

    Args:
        patience: seconds to wait for another writer; PATIENCE where nothing is said.

    Raises:
        Problem: another process still writes it.
        OSError: the folder cannot be written.
    """
    path = target.with_name(f".{target.name}.lock")
    descriptor = _held(path, target, time.monotonic() + (PATIENCE if patience is None else patience))
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            path.unlink(
                missing_ok=True
            )  # while it is held: who waits for it sees that it is gone, and makes another
            os.close(descriptor)


def hold(file: int | IO[bytes], target: Path) -> bool:
    """Lock an open file until it is closed, or its process ends, however it ends.

    Args:
        file: as flock(2) takes it.
        target: what is written, for the note that is given where the disk has no locks.

    Returns:
        False where it has none.

    Raises:
        BlockingIOError: another process holds it.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        print(
            f"note: {target.parent} has no locks: two writers of {target.name} would not be told",
            file=sys.stderr,
        )
        return False
    return True


def _held(path: Path, target: Path, until: float) -> int | None:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if not hold(descriptor, target):
                os.close(descriptor)
                path.unlink(missing_ok=True)
                return None
            if _still_there(path, descriptor):
                return descriptor
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(descriptor)
                raise Problem(
                    "another process is writing this",
                    where=target,
                    found=f"{path.name} is held",
                    wanted="one writer at a time",
                    fix="wait for its end, or find it (fuser, ps) and stop it, and run the same command again",
                ) from None
            time.sleep(POLL)
        os.close(descriptor)


def _still_there(path: Path, descriptor: int) -> bool:
    """Whether the locked file is the one of that name: its last holder may have removed it meanwhile."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
