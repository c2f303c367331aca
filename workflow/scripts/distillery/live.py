"""What a command shows of its progress while it runs: on a terminal a line that changes, elsewhere lines now and then.

    with Live("score.py", log=None):
        work()

Beside a log lies meanwhile `STEM.progress.json`, for whoever looks at a run from outside (`launch/run_view`, `make watch`): it is
gone after a good end, and says how the command ended after a bad one.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from distillery import json_files, live_lines, notes, processes, progress
from distillery.terminal_text import printable

TICK = 0.25  # seconds between two looks
PATIENCE = 3.0  # seconds before there is anything to see
SILENCE = 30.0  # seconds between lines that stay, where there is no terminal
NOTES = 1.0  # seconds between two writings of the file
VARIABLE = "DISTILLERY_PROGRESS"  # the file, for ranks that a launcher starts


def beside(log: Path) -> Path:
    """Where the progress of the command lies that writes this log."""
    return log.with_suffix(".progress.json")


def read(log: Path) -> dict[str, Any]:
    """What the command last said beside its log; empty where it is over, or never said anything.

    Keys: process, began, host, line; ended, its exit code, where it ended badly; heard, seconds since it was written.
    """
    path = beside(log)
    try:
        found = json_files.loads(path.read_bytes())
        return {**found, "heard": time.time() - path.stat().st_mtime} if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def goes_on(said: Mapping[str, Any]) -> bool:
    """Whether the command that said this still runs; one of another machine does while it was heard of lately."""
    if "ended" in said:
        return False
    if said.get("host") == socket.gethostname():
        return bool(said.get("began")) and processes.began(said.get("process")) == said["began"]
    return bool(abs(said["heard"]) < 4 * SILENCE)  # a clock that was set back makes files of the future


class Live:
    """A context manager around all that a command does.

    Args:
        name: of the command.
        log: the file that its output goes to, if any.
        leads: False for a launcher, whose ranks have the progress to tell.
    """

    def __init__(self, name: str, log: Path | None, leads: bool = True) -> None:
        self._name, self._began, self._owner, self._leads = name, time.monotonic(), log is not None, leads
        self._terminal = log is None and sys.stderr.isatty()
        if log:
            os.environ[VARIABLE] = str(beside(log).absolute())
        found = os.environ.get(VARIABLE)
        self._path = Path(found) if found else None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)

    def __enter__(self) -> Live:
        if self._owner:
            self._note()
        # signals belong to the thread that works
        former = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        self._thread.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._stop.set()
        self._thread.join(timeout=2)
        live_lines.erase()
        if self._owner and self._path:
            with suppress(OSError):
                if kind is None:
                    self._path.unlink(missing_ok=True)
                else:
                    self._note(ended=getattr(error, "exit_code", 1))

    def _run(self) -> None:
        noted, said, counted = 0.0, time.monotonic(), 0
        rank = self._path is not None and not self._owner
        while not self._stop.wait(TICK):
            now, found = time.monotonic(), progress.current()
            if self._leads and now - noted >= NOTES and (self._owner or found.unit):
                noted = now
                self._note()
            if self._terminal:
                if self._leads and now - self._began >= PATIENCE:
                    live_lines.draw(2, [self._line(now)])
            elif now - max(said, live_lines.last) >= SILENCE:
                # a rank that hangs must be silent: its launcher waits for that
                if self._leads and (not rank or found.done != counted):
                    live_lines.say(2, self._line(now))
                said, counted = now, found.done

    def _line(self, now: float) -> str:
        said = progress.current().line()
        return printable(f"{self._name}  {progress.clock(now - self._began)}  {said}".rstrip())

    def _note(self, **more: Any) -> None:
        if self._path is None:
            return
        me = os.getpid()
        said = {"process": me, "began": processes.began(me), "host": socket.gethostname()}
        said |= {"line": progress.current().line(), **more}
        with live_lines.LOCK, suppress(OSError):  # of no weight: a full disk is told by what matters
            notes.write(self._path, json.dumps(said) + "\n")
