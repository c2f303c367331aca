"""Errors that teach: what went wrong, where, what was found, what was wanted, and the fix."""

from __future__ import annotations


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


class UsageProblem(Problem):
    """Flags that contradict each other or cannot work together; exit 2 as argparse does."""

    exit_code = 2


class Interrupted(Problem):
    """Stopped from outside with a resumable state saved; exit 3, and the same command continues."""

    exit_code = 3
