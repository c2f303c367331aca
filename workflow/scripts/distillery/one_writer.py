"""One writer of an output at a time: a lock beside it that dies with its holder.

    with one_writer.of(Path("results/d/d_manifest.json")):    # waits a little for another, then says so
        ...

Snakemake runs a job once, but people start commands by hand, unlock a directory whose job only stalled, and submit twice.
The lock is flock(2) on `.NAME.lock`: a killed holder frees it, and the file itself is removed by whoever held it last.
Who holds an output holds it within as well, so that what belongs to it, its digest too, is written under the same lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from distillery.problems import Problem, writing

PATIENCE = 10.0  # seconds: longer than any small file takes, shorter than a person waits without a word
POLL = 0.05
# what file systems without locks answer, network disks among them
NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
_holding: dict[tuple[int, Path], bool] = {}  # (thread, lock): whether the disk has locks


@contextmanager
def of(target: Path, patience: float | None = None) -> Iterator[bool]:
    """Hold `target` against other writers; yields False where the disk has no locks, which is said on standard error.

    Args:
        patience: seconds to wait for another writer; PATIENCE where nothing is said.

    Raises:
        Problem: another process still writes it.
        OSError: its folder cannot be made or written.
    """
    path = target.absolute().with_name(f".{target.name}.lock")
    me = threading.get_ident(), path
    if me in _holding:
        yield _holding[me]
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _held(path, target, time.monotonic() + (PATIENCE if patience is None else patience))
    _holding[me] = descriptor is not None
    try:
        with writing(target):
            yield _holding[me]
    finally:
        del _holding[me]
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
        try:
            descriptor, locked = opened(path, target)
            if locked:
                return descriptor
            os.close(descriptor)
            path.unlink(missing_ok=True)
            return None
        except BlockingIOError:
            if time.monotonic() > until:
                raise Problem(
                    "another process is writing this",
                    where=target,
                    found=f"{path.name} is held",
                    wanted="one writer at a time",
                    fix="wait for its end, or find it (fuser, ps) and stop it, and run the same command again",
                ) from None
            time.sleep(POLL)


def opened(path: Path, target: Path, flags: int = 0) -> tuple[int, bool]:
    """(descriptor of a file that is made if it is not there, whether the disk has locks), held as `hold` says.

    A holder's last act may be to remove or rename the file: then it is another's, or an output, and a new one is opened.

    Args:
        flags: of os.open, besides reading and writing.

    Raises:
        BlockingIOError: another process holds it.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | flags, 0o644)
        try:
            locked = hold(descriptor, target)
            if not locked or _still_there(path, descriptor):
                return descriptor, locked
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _still_there(path: Path, descriptor: int) -> bool:
    """Whether the locked file is the one of that name: its last holder may have removed it meanwhile."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
