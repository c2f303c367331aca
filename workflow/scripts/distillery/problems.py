"""Errors that teach: what went wrong, where, what was found, what was wanted, and the fix."""

from __future__ import annotations

import errno
import os
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from distillery import process_limits


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
# Python's own words, with a number that says "no such file"
NO_TEMPORARY_SAID = "No usable temporary directory"
NO_TEMPORARY = "make room on one of these disks, or name a folder on another one in TMPDIR"
# a disk without room, a quota, a limit of file sizes: write(2) refuses so, and does not say which file
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# what no program is at fault for, however a library says it
REFUSALS = (*NO_ROOM, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE, errno.ENOMEM)
# what is wanting to the process, whatever file it reads
WANTING = (errno.ENOMEM, errno.EMFILE, errno.ENFILE)
OF_RUST = re.compile(r"\(os error (\d+)\)")  # how a library in Rust says what the system told it
# other words of the same: the linker's, C++'s, zstd's, MindSpore's, Python's
WORDS = {
    re.compile(
        r"failed to map segment from shared object$|std::bad_alloc|ZSTD_DCtx create failed"
        r"|(?i:^(device )?m?alloc\w* .*fail|memory (isn't|is not|not) enough|out of memory)"
    ): errno.ENOMEM,
    # another Python had no memory left to say what its traceback is of
    re.compile(r"Traceback \(most recent call last\):\n(.*\n)* .*\s*\Z"): errno.ENOMEM,
    re.compile("can't start new thread"): errno.EAGAIN,
}


def first_line(cause: object) -> str:
    """What a library says of a fault, without the lines it adds; its kind where it says nothing."""
    return next(iter(str(cause).splitlines()), "") or repr(cause)


def refusal(error: BaseException) -> OSError | None:
    """What the system refused, if that is what ended something; libraries say so in errors and words of their own.

    So do Problems of a file that could not be read, where memory or descriptors were wanting and the file is whole.
    """
    if isinstance(error, OSError):
        return error
    if isinstance(error, Problem) and error.exit_code != Problem.exit_code:
        return None
    chain: BaseException | None = error.__context__ if isinstance(error, Problem) else error
    while chain is not None:
        code = _refused(chain)
        if code and not (isinstance(error, Problem) and code not in WANTING):
            found = OSError(code, os.strerror(code), getattr(error, "where", None))
            found.__cause__ = chain
            return found
        chain = chain.__cause__ or chain.__context__
    return None


def _refused(error: BaseException) -> int | None:
    """The number of what the system refused for want of something, by one error of several that led to one another."""
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    if isinstance(error, ModuleNotFoundError) and _is_there(error.name):
        return errno.ENOMEM if process_limits.has(resource.RLIMIT_AS) else errno.EMFILE
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if error.errno in REFUSALS else None
    text = "" if isinstance(error, Problem) else str(error)
    said = OF_RUST.search(text)
    numbers = (one for one in REFUSALS if (said and int(said[1]) == one) or os.strerror(one) in text)
    code = next(numbers, None) or next((code for form, code in WORDS.items() if form.search(text)), None)
    # the system says the same of a thread too many and of one without memory for its stack
    return errno.ENOMEM if code == errno.EAGAIN and process_limits.lacked_memory_for_a_thread() else code


def _is_there(package: str | None) -> bool:
    """Whether a package that was not found is found at a second look.

    `importlib.metadata` takes a folder that it cannot list, for want of descriptors or memory, for an empty one.
    """
    try:
        return bool(package) and find_spec(package) is not None
    except OSError:  # still wanting
        return True
    except (ImportError, ValueError):
        return False


@contextmanager
def writing(target: object) -> Iterator[None]:
    """Name what is written in an error that says its disk has no room, and not for which file.

    Raises:
        OSError: that error, in place of a library's own.
    """
    try:
        yield
    except Exception as error:
        found = refusal(error)
        if found is None or found.errno not in NO_ROOM or found.filename is not None:
            raise
        found.filename = str(target)
        if found is error:
            raise
        raise found from error


def of_system(error: OSError) -> Problem:
    """What the system refused, as a Problem: its words, the file, a library's words, and the cure where one is known."""
    places = [str(name) for name in (error.filename, error.filename2) if name is not None]
    said = error.__cause__
    return Problem(
        "there is not enough memory"
        if error.errno == errno.ENOMEM
        else f"the system refused: {error.strerror or error}",
        where=" -> ".join(places) or None,
        found=first_line(said)[:300] if said else None,
        fix=NO_TEMPORARY if NO_TEMPORARY_SAID in str(error) else CURES.get(error.errno or 0),
    )
