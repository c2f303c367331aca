"""Signals that ask a training to save and stop, noted until the step in flight has ended."""

from __future__ import annotations

import signal

from distillery import cpu_limit


class StopSignals:
    """Remembers that a signal came, so that the step in flight can end.

    MindSpore has its own handler of SIGINT while it runs a graph, which sends the process SIGTERM instead.
    """

    NAMES = {
        signal.SIGTERM: "SIGTERM or Ctrl-C",
        signal.SIGINT: "Ctrl-C",
        signal.SIGUSR1: "SIGUSR1",
        signal.SIGXCPU: cpu_limit.NAME,
    }

    def __init__(self) -> None:
        self.name: str | None = None
        self._former = {number: signal.signal(number, self._note) for number in self.NAMES}

    def _note(self, number: int, frame: object) -> None:
        self.name = self.NAMES[signal.Signals(number)]

    def restore(self) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)
