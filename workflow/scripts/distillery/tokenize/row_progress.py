"""Rows done: a line on standard error every so many, where no terminal shows how far it is."""

from __future__ import annotations

import sys
import time

from distillery import progress


class Progress:
    """`add` what was done; `interval` is the rows between lines."""

    def __init__(self, interval: int) -> None:
        self.interval, self.began = interval, time.monotonic()
        self.rows = self.tokens = self.shown = 0
        progress.begin("rows")

    def add(self, rows: int, tokens: int) -> None:
        """Count these."""
        self.rows += rows
        self.tokens += tokens
        seconds = max(time.monotonic() - self.began, 1e-9)
        speed = f"{self.rows / seconds:.0f} rows/s, {self.tokens / seconds / 1e6:.2f} Mtok/s"
        progress.reached(self.rows, speed)
        if self.rows // self.interval > self.shown and not sys.stderr.isatty():
            self.shown = self.rows // self.interval
            print(f"processed {self.rows} rows ({speed})", file=sys.stderr, flush=True)
