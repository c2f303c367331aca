"""MindSpore's msrun, whose ranks are forked from it: MindSpore is imported once a launch, and not by every process of it.

    forking_msrun.py --worker_num 2 ... script.py ...     # in msrun's place
    launch.py ... -- PYTHON script.py ...                 # PYTHON as `python` makes it: its msrun is this one

All else is msrun's own: the scheduler, the variables, logs, sessions, and what happens when a rank ends. What `forked`
says about a forked command is true of a forked rank.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from imported_mindspore import import_mindspore, threads_of

START, END = (
    49,
    50,
)  # fields of /proc/self/stat: where the environment stands that others read in /proc/PID/environ


@cache
def python() -> Path:
    """An interpreter beside which this msrun stands; to the end of this process."""
    directory = Path(tempfile.mkdtemp(prefix="forking-msrun-"))
    atexit.register(shutil.rmtree, directory)
    for name, words in {"python": [sys.executable], "msrun": [sys.executable, __file__]}.items():
        (directory / name).write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        (directory / name).chmod(0o755)
    return directory / "python"


class Rank(subprocess.Popen):
    """A Popen that forks where `python script.py ...` is to be started."""

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Callable[[], object] | None, *more: Any):
        if args[0] != "python":
            return super()._execute_child(args, executable, preexec_fn, *more)
        output, errors = more[10], more[12]  # c2pwrite, errwrite
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid:
            self._child_created = True
            return None
        try:
            os.dup2(output, 1)
            os.dup2(errors, 2)
            if preexec_fn is not None:
                preexec_fn()
            status = _run(list(args[1:]))
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run(args: list[str]) -> int:
    """A script to its end, with what it left to be done then; returns its exit status."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # msrun has one of its own
    _show_environment()
    sys.argv, sys.path[0] = args, str(Path(args[0]).parent)
    try:
        runpy.run_path(args[0], run_name="__main__")
        status = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    return status


def _show_environment() -> None:
    """Let /proc/PID/environ say what it would of a started rank: launch.py finds ranks by that."""
    now = dict(os.environ)
    os.environ.clear()
    os.environ.update(now)  # the C library's copies are elsewhere now
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[START - 2]), int(fields[END - 2])
    block = b""
    for name in sorted(now, key=lambda name: not name.startswith(("MS_", "RANK_"))):
        entry = os.fsencode(f"{name}={now[name]}") + b"\0"
        block += entry if len(block) + len(entry) <= end - start else b""
    ctypes.memmove(start, block.ljust(end - start, b"\0"), end - start)


if __name__ == "__main__":
    import_mindspore(threads_of(sys.argv) or "1")
    gc.collect()
    gc.freeze()  # as in `forked`
    import mindspore.parallel.cluster.run as msrun

    subprocess.Popen = Rank
    sys.argv[0] = "msrun"
    msrun.main()
