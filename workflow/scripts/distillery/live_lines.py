"""Lines at the end of a terminal that are drawn over again, by a thread, while others write.

The cursor rests where they begin: what another process writes lands there, is read, and is never taken back.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

ERASE = "\r\x1b[J"  # from the cursor's line to the end of the screen
# held wherever a stream of a terminal is written to
LOCK = threading.RLock()
# a fork amid a drawing would leave the lock to a thread that the child has not
os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=lambda: _forked())
_on: int | None = None  # the descriptor that bears lines
_quiet = False
between = True  # nothing unfinished stands in the terminal's line
last = time.monotonic()  # when something was written that stays


def _forked() -> None:
    global _on
    _on = None
    LOCK.release()


def draw(descriptor: int, lines: Sequence[str]) -> None:
    """Show these in the place of those before. Each is cut to the terminal's width; none where the rest would not fit."""
    global _on
    with LOCK, suppress(OSError):
        if _quiet or not between:
            return
        columns, rows = os.get_terminal_size(descriptor)
        cut = [line[: max(columns - 1, 1)] for line in lines[: max(rows - 1, 1)]]
        back = f"\x1b[{len(cut) - 1}A" if len(cut) > 1 else ""
        _write(descriptor, ERASE + "\n".join(cut) + back + "\r" if cut else ERASE)
        _on = descriptor if cut else None


def erase() -> None:
    """Take the lines away, before something is written that stays."""
    global _on
    with LOCK, suppress(OSError):
        if _on is not None:
            _write(_on, ERASE)
            _on = None


def end() -> None:
    """No more lines in this process: it draws by itself, or talks to someone."""
    global _quiet
    with LOCK:
        erase()
        _quiet = True


def wrote(text: str) -> None:
    """Say what went to the terminal: lines wait for the end of its own."""
    global between, last
    if text:
        between, last = text.endswith("\n"), time.monotonic()


def say(descriptor: int, line: str) -> None:
    """A line that stays."""
    with LOCK, suppress(OSError):
        erase()
        _write(descriptor, f"{line}\n")


def _write(descriptor: int, text: str) -> None:
    os.write(descriptor, text.encode("utf-8", "replace"))
