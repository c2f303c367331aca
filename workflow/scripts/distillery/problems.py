"""Errors that teach: what went wrong, where, what was found, what was wanted, and the fix."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager


class Problem(Exception):
    """A failure the user can act on; commands print it without a traceback and exit 1.

    Args:
        what: one sentence, no trailing full stop.
        where: the file, and where it applies the row, key, tensor or byte.
        found: what is there.
        wanted: what should be there.
        fix: the edit or the command that cures it.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        found: object = None,
        wanted: object = None,
        fix: str | None = None,
    ) -> None:
        self.what, self.where, self.found, self.wanted, self.fix = what, where, found, wanted, fix
        rows = [("where", where), ("found", found), ("wanted", wanted), ("fix", fix)]
        lines = [f"  {label + ':':<8}{value}" for label, value in rows if value is not None]
        super().__init__("\n".join([what, *lines]))


@contextmanager
def located(where: object) -> Iterator[None]:
    """Give a Problem raised inside its place, if it names none: the caller knows the files."""
    try:
        yield
    except Problem as error:
        if error.where is not None:
            raise
        raise type(error)(
            error.what, where=where, found=error.found, wanted=error.wanted, fix=error.fix
        ) from None


@contextmanager
def within(where: object) -> Iterator[None]:
    """Put a file's name before the places that Problems raised inside name in it."""
    try:
        yield
    except Problem as error:
        place = where if error.where is None else f"{where}, {error.where}"
        raise type(error)(
            error.what, where=place, found=error.found, wanted=error.wanted, fix=error.fix
        ) from None


class UsageProblem(Problem):
    """Flags that contradict each other or cannot work together; exit 2 as argparse does."""

    exit_code = 2


class Interrupted(Problem):
    """Stopped from outside with a resumable state saved; exit 3, and the same command continues."""

    exit_code = 3


# what the system says, and what cures it; other errors are said in the system's own words
CURES = {
    errno.ENOSPC: "make room on that disk and run the same command again",
    errno.EDQUOT: "make room in your quota and run the same command again",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f), or use a disk that takes larger files",
    errno.EROFS: "write elsewhere: this disk is read-only",
    errno.EACCES: "change the permissions, or write elsewhere",
    errno.EPERM: "change the permissions, or write elsewhere",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "this machine has too many open files: close other programs",
    errno.ENOENT: "make it, or correct the path",
    errno.ENOTDIR: "a file stands where a folder is wanted: move it, or correct the path",
    errno.EISDIR: "a folder stands where a file is wanted: move it, or correct the path",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EIO: "the disk failed: look into `dmesg`, and use another one",
    errno.ESTALE: "the network disk lost this file: mount it again and run the same command again",
    errno.ENOMEM: "close other programs, or raise the limit of memory (ulimit -v)",
    errno.EAGAIN: "raise the limit of processes (ulimit -u)",
}


def first_line(cause: object) -> str:
    """What a library says of a fault, without the lines it adds; its kind where it says nothing."""
    return next(iter(str(cause).splitlines()), "") or repr(cause)


def of_system(error: OSError) -> Problem:
    """What the system refused, as a Problem: its words, the file, and the cure where one is known."""
    places = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return Problem(
        f"the system refused: {error.strerror or error}",
        where=" -> ".join(places) or None,
        fix=CURES.get(error.errno or 0),
    )
