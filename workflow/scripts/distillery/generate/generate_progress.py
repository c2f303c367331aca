"""How far a run of answers is, on standard error, and what it took."""

from __future__ import annotations

import sys
import time
from typing import Any

from distillery import progress


class Watch:
    """Progress (a line now and then where no terminal shows it), and the run's times in seconds.

    Args:
        shown: False for all copies of the model but the first: a launcher shows the rank that tells of progress, and only
            the first copy's says at the end what was written.
    """

    def __init__(self, total: int, done: int, log_interval: int, *, shown: bool = True):
        self.total, self.done, self.log_interval, self.shown = total, done, log_interval, shown
        self.resumed, self.tokens = done, 0
        self.start = self.begun = time.perf_counter()
        if shown:
            progress.begin("answers", total, done, "loading")
        if done and shown:
            print(f"continuing after {done} of {total} answers", file=sys.stderr, flush=True)

    def ready(self) -> None:
        """The runner is built; what follows is generation."""
        self.begun = time.perf_counter()

    def saw(self, rank: int, tokens: int) -> None:
        """Count an answer of so many tokens; of those that one search returns, the first."""
        self.done += rank == 0
        self.tokens += tokens
        if not self.shown:
            return
        rate = f"{self.tokens / (time.perf_counter() - self.begun):.0f} tokens/s"
        progress.reached(self.done, rate)
        told = rank == 0 and (self.done % self.log_interval == 0 or self.done == self.total)
        if told and not sys.stderr.isatty():
            print(f"{self.done}/{self.total} answers, {rate}", file=sys.stderr, flush=True)

    def timings(self) -> dict[str, Any]:
        now = time.perf_counter()
        return {
            "answers": self.total,
            "resumed": self.resumed,
            "tokens": self.tokens,
            "load_seconds": round(self.begun - self.start, 3),
            "generate_seconds": round(now - self.begun, 3),
            "cpu_seconds": round(time.process_time(), 3),
        }
