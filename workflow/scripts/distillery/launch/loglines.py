"""What a worker's log says: Megatron's training lines as metrics, and the first real error.

    metrics(" [2025-09-01 12:00:00] iteration        1/    2000 | consumed samples:           64 | ... ")
    # {"iteration": 1, "train_iters": 2000, "consumed_samples": 64, "seconds": 12.3, "lr": 6.25e-08, "loss": 1.23, ...}

The keys are those of the built-in engine's metrics.jsonl. The line's format is Megatron-LM core_r0.12's
`training_log`, which MindSpeed-LLM 2.2.0 prints unchanged; its memory line is the one that the
reference's own test tools parse.
"""

from __future__ import annotations

import re
from typing import Any

ITERATION = re.compile(r"\biteration\s+(\d+)/\s*(\d+) \|(.*)")
MEMORY = re.compile(r"\[Rank (\d+)\] \(after (\d+) iterations\) memory \(MB\) \|.*?max allocated: ([0-9.]+)")
FIELDS = {
    "consumed samples": ("consumed_samples", int),
    "elapsed time per iteration (ms)": ("seconds", lambda text: round(float(text) / 1000, 4)),
    "throughput per GPU (TFLOP/s/GPU)": ("tflops", float),
    "learning rate": ("lr", float),
    "lm loss": ("loss", float),
    "loss scale": ("loss_scale", float),
    "grad norm": ("grad_norm", float),
    "number of skipped iterations": ("skipped_iterations", int),
    "number of nan iterations": ("nan_iterations", int),
}
# native chatter about connections; it stays in the worker's log
NOISE = re.compile(r"\[(?:DEBUG|INFO|WARNING)\] [A-Z_]+\(")
PROGRESS = re.compile(r"\bloss\b|\d answers\b")  # of training, of inference.py

# after a traceback any name, alone or with a message: StopIteration, zmq.Again: ...
EXCEPTION = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:: .*)?$")
OURS = re.compile(r"^\S+\.py: error: .+")
NATIVE = re.compile(r"^\[(?:ERROR|CRITICAL)\] .+")
CLUSTER_TIMEOUT = "Failed to initialize distributed job cluster"


def metrics(line: str) -> dict[str, Any] | None:
    """The record of a training or memory line, None for any other. Seconds are per step; memory in 10^6 bytes."""
    if match := MEMORY.search(line):
        rank, iteration, megabytes = match.groups()
        return {"iteration": int(iteration), "rank": int(rank), "memory_megabytes": round(float(megabytes))}
    match = ITERATION.search(line)
    if match is None:
        return None
    record: dict[str, Any] = {"iteration": int(match[1]), "train_iters": int(match[2])}
    for field in match[3].split("|"):
        name, _, value = field.partition(":")
        if name.strip() in FIELDS and value.strip():
            key, read = FIELDS[name.strip()]
            record[key] = read(value)
    return record


class ErrorWatch:
    """Finds the error that a log tells of.

    It is a Python traceback's last line, our commands' message with its indented rows, or else the first [ERROR] line
    of the native code.
    """

    def __init__(self) -> None:
        self._native: str | None = None
        self._raised: list[str] = []
        self._in_traceback = self._collecting = False
        self.cluster_timeout = False

    def feed(self, line: str) -> None:
        self.cluster_timeout |= CLUSTER_TIMEOUT in line
        if self._collecting:
            if line.startswith("  ") and len(self._raised) < 8:
                self._raised.append(line.rstrip())
                return
            self._collecting = False
        if line.startswith("Traceback (most recent call last)"):
            self._in_traceback = True
        elif OURS.match(line) or (self._in_traceback and EXCEPTION.match(line)):
            self._in_traceback = False
            if not self._raised:
                self._raised = [line.rstrip()]
                self._collecting = True
        elif self._native is None and NATIVE.match(line):
            self._native = line.rstrip()

    @property
    def error(self) -> str | None:
        return "\n".join(self._raised) or self._native
