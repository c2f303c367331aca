"""MindSpore's msrun in a process that is forked, with ranks that are forked from it: MindSpore is imported once for all launches.

`main` runs it; after `instead_of_starting` what launch.py starts as msrun, and msrun as its ranks, is forked.

All else is msrun's own: the scheduler, the variables, logs, sessions, and what happens when a rank ends. What `forked`
says about a forked command is true of a forked rank. Both show their environment as a started process would, not their
command's line.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import runpy
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

# fields of /proc/self/stat: where the environment stands that others read in /proc/PID/environ
START, END = 49, 50


class Forked(subprocess.Popen):
    """A Popen that forks where msrun or `python script.py ...` is to be started."""

    def _execute_child(
        self,
        args: Any,
        executable: Any,
        preexec_fn: Callable[[], object] | None,
        close_fds: bool,
        pass_fds: tuple[int, ...],
        cwd: Any,
        env: dict[str, str] | None,
        *more: Any,
    ) -> None:
        run = _entry(args)
        if run is None:
            return super()._execute_child(args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *more)
        streams, new_session = (more[3], more[6], more[8]), more[14]  # p2cread, c2pwrite, errwrite
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid:
            self._child_created = True
            return None
        try:
            for number, stream in enumerate(streams):
                if stream != -1:
                    os.dup2(stream, number)
            if close_fds:
                _close_all_but(pass_fds)
            if cwd is not None:
                os.chdir(cwd)
            if new_session:
                os.setsid()
            if preexec_fn is not None:
                preexec_fn()
            forget_handlers()
            _show_environment(os.environ if env is None else env)
            status = _status(run)
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def instead_of_starting() -> None:
    """From here on this process, and what is forked from it, forks msrun and its ranks."""
    subprocess.Popen = Forked


def main() -> None:
    """msrun with the words of sys.argv."""
    import mindspore.parallel.cluster.run as msrun

    instead_of_starting()
    sys.argv[0] = "msrun"
    msrun.main()


def _entry(args: Any) -> Callable[[], object] | None:
    """What a forked process runs for these words; None if they are to be started as ever."""
    if isinstance(args, str | bytes) or not args:
        return None
    if Path(str(args[0])).name == "msrun":

        def run() -> None:
            sys.argv = list(map(str, args))
            main()
    elif args[0] == "python" and sys.argv[0] == "msrun":

        def run() -> None:
            sys.argv, sys.path[0] = list(args[1:]), str(Path(args[1]).parent)
            paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
            sys.path[1:1] = [path for path in paths if path and path not in sys.path]
            runpy.run_path(args[1], run_name="__main__")
    else:
        return None
    return run


def _status(run: Callable[[], object]) -> int:
    """Run it to its end, with what it left to be done then -> its exit status."""
    try:
        run()
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


def _close_all_but(kept: tuple[int, ...]) -> None:
    """As a start does: locks that are held by a descriptor must not outlive who holds them."""
    for number in map(int, os.listdir("/proc/self/fd")):
        if number > 2 and number not in kept:
            try:
                os.close(number)
            except OSError:
                continue  # it was the listing's own


def forget_handlers() -> None:
    """As a start does: signals end a process until it says what else they do."""
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def _show_environment(now: dict[str, str] | os._Environ[str]) -> None:
    """Take this environment, and let /proc/PID/environ say what it would of a started rank: launch.py finds ranks by that."""
    now = dict(now)
    os.environ.clear()
    os.environ.update(now)  # the C library's copies are elsewhere now
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=bool(now.get("PYTHONUNBUFFERED")))
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[START - 2]), int(fields[END - 2])
    block = b""
    for name in sorted(now, key=lambda name: not name.startswith(("MS_", "RANK_"))):
        entry = os.fsencode(f"{name}={now[name]}") + b"\0"
        block += entry if len(block) + len(entry) <= end - start else b""
    ctypes.memmove(start, block.ljust(end - start, b"\0"), end - start)
