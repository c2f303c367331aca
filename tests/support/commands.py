"""The project's commands, run as a shell runs them but in this process: their libraries are imported once."""

from __future__ import annotations

import contextlib
import io
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

from places import SCRIPTS


def here(name: str, *words: object, cwd: Path | str = ".") -> subprocess.CompletedProcess[str]:
    """`python NAME WORDS` in `cwd`: its exit code and what it printed.

    Not for commands that compute with MindSpore, redirect file descriptors (--log), or are to be killed.
    """
    line = [str(SCRIPTS / name), *map(str, words)]
    out, err, code = io.StringIO(), io.StringIO(), 0
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "argv", line),
    ):
        try:
            runpy.run_path(line[0], run_name="__main__")
        except SystemExit as end:
            code = end.code or 0
        finally:
            # inference.py holds signals back, and whatever this process started later would not end by them
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return subprocess.CompletedProcess(line, code, out.getvalue(), err.getvalue())
