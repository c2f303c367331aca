"""How far this process is: a stage says it here, and whoever shows it (`live`) looks when it likes.

    progress.begin("answers", total=400, done=12)     # counted from 12 on
    progress.reached(13, "310 tokens/s")
    progress.current().line()                         # '13/400 answers  310 tokens/s  1:04 left'

Nothing is shown here, so that a change of what is shown changes no command's code.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

BYTES = "bytes"
_LOCK = threading.Lock()


@dataclass
class Progress:
    """Of one stage.

    Args:
        unit: what is counted; "" before a stage said so.
        total: where it ends; None where nobody knows.
        detail: what else there is to say, such as a speed.
        since: (time, count) from which the time left is reckoned: those of the first unit that was done, for start-up is no
            measure of what follows.
    """

    unit: str = ""
    total: int | None = None
    done: int = 0
    detail: str = ""
    since: tuple[float, int] | None = None

    def seconds_left(self, now: float) -> float | None:
        """As long as what is left takes at the speed so far; None where that cannot be said."""
        if self.since is None or self.total is None or self.done <= self.since[1]:
            return None
        return max(0.0, (now - self.since[0]) / (self.done - self.since[1]) * (self.total - self.done))

    def line(self) -> str:
        """All of it in a few words; "" before anything was counted."""
        if not self.unit:
            return ""
        counted = _sized(self.done) if self.unit == BYTES else f"{self.done}"
        if self.total is not None:
            counted += f" of {_sized(self.total)}" if self.unit == BYTES else f"/{self.total}"
        left = self.seconds_left(time.monotonic())
        parts = [counted if self.unit == BYTES else f"{counted} {self.unit}", self.detail]
        parts += [] if left is None else [f"{clock(left)} left"]
        return "  ".join(part for part in parts if part)


_now = Progress()


def begin(unit: str, total: int | None = None, done: int = 0, detail: str = "") -> None:
    """A stage begins, of so many units, some of them done before."""
    global _now
    _now = Progress(unit, total, done, detail)


def reached(done: int, detail: str = "") -> None:
    """So many are done now."""
    with _LOCK:
        _now.done, _now.detail = done, detail
        _now.since = _now.since or (time.monotonic(), done)


def add(count: int) -> None:
    """So many more are done; from any thread."""
    with _LOCK:
        _now.done += count
        _now.since = _now.since or (time.monotonic(), _now.done)


def current() -> Progress:
    """That of the stage which began last."""
    return _now


def clock(seconds: float) -> str:
    """Seconds as 0:07, 12:34 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def _sized(count: int) -> str:
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if abs(amount) < 1000:
            return f"{amount:.4g} {unit}"
        amount /= 1000
    return f"{amount:.4g} GB"
