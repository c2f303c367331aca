"""Rows done, on standard error: a bar on a terminal, else a line every so many rows."""

from __future__ import annotations

import sys
import time
from typing import Any

from distillery.terminal_text import drawn


class Progress:
    """`add` what was done; `interval` is the rows between lines."""

    def __init__(self, interval: int) -> None:
        self.interval, self.began = interval, time.monotonic()
        self.rows = self.tokens = self.shown = 0
        self.bar: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar[0].stop()

    def add(self, rows: int, tokens: int) -> None:
        if self.bar is None and sys.stderr.isatty():
            self.bar = _bar()  # not before the processes are forked: it is a thread
        self.rows += rows
        self.tokens += tokens
        seconds = max(time.monotonic() - self.began, 1e-9)
        speed = f"{self.tokens / seconds / 1e6:.2f} Mtok/s"
        if self.bar:
            self.bar[0].update(self.bar[1], completed=self.rows, description=f"{self.rows} rows, {speed}")
        elif self.rows // self.interval > self.shown:
            self.shown = self.rows // self.interval
            print(
                f"processed {self.rows} rows ({self.rows / seconds:.0f} rows/s, {speed})",
                file=sys.stderr,
                flush=True,
            )


def _bar() -> tuple[Any, Any]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    progress = Progress(*columns, console=Console(file=drawn(sys.stderr)))
    progress.start()
    return progress, progress.add_task("0 rows", total=None)
