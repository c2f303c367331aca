"""Memory and speed of devices: by the name that npu-smi prints, and the share of its peak at which training runs.

Published bf16 peaks of the 910B conflict (280 to 414 for the four variants, 320 or 353 elsewhere), so a
measured matmul in `hardware.peak_tflops` is better, and every estimate prints the peak that it used.
62,432 MiB is what a "64 GB" 910B shows to its framework.

The share is fitted on published rows (published.json) and compared with rows left out of the fit:

    python -c "from distillery.planning import device_facts; print(device_facts.table())"
"""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery.architecture import Architecture
from distillery.hardware import Hardware
from distillery.model_config import from_config

CHIPS = Path(__file__).with_name("chips.json")
RESERVED_GIB = 3.0  # CANN, collective buffers and the allocator's own
# fp32 matmul of one thread of a present x86 core with AVX-512: 70 to 90 measured
CPU_THREAD_TFLOPS = 0.08
# the generation kernels read weights at 40 to 42 GB/s on one thread, 50 to 53 on two (benchmarks/engine-notes.md)
CPU_BANDWIDTH_TBS = 0.04
PUBLISHED = Path(__file__).with_name("published.json")


@functools.cache
def chips() -> dict[str, dict[str, Any]]:
    """Memory in MiB, peak in 10^12 operations a second and bandwidth in 10^12 bytes a second of each chip, by its name."""
    return json.loads(CHIPS.read_text(encoding="utf-8"))


def memory_gib(hardware: Hardware) -> float | None:
    """What a job may use of one device, None where nothing is known."""
    if hardware.memory_gib is not None:
        return hardware.memory_gib
    if hardware.chip is None:
        return None
    return chips()[hardware.chip]["memory_mib"] / 1024 - RESERVED_GIB


def peak_tflops(hardware: Hardware) -> float | None:
    """Of one device, for the built-in engine on a CPU of all its threads; None where nothing is known."""
    if hardware.peak_tflops is not None:
        return hardware.peak_tflops
    if hardware.chip is not None:
        return chips()[hardware.chip]["peak_tflops"]
    return CPU_THREAD_TFLOPS * hardware.threads if hardware.device == "CPU" else None


def bandwidth_tbs(hardware: Hardware) -> float | None:
    """10^12 bytes a second between a device and its memory; None where nothing is known."""
    if hardware.chip:
        return chips()[hardware.chip]["bandwidth_tbs"]
    return CPU_BANDWIDTH_TBS if hardware.device == "CPU" else None


@dataclass(frozen=True)
class Row:
    """A published speed, in tokens a second and device, beside the estimate."""

    model: str
    regime: str
    seq_length: int
    published: float
    estimated: float
    fitted: bool
    source: str

    @property
    def error(self) -> float:
        """(estimated - published) / published."""
        return self.estimated / self.published - 1


@functools.cache
def utilisation(regime: str = "tuning") -> float:
    """Share of the peak that training reaches: the geometric mean over the rows used for the fit."""
    shares = [
        math.log(_reached(row) / _peak())
        for row in _rows()
        if row["use"] == "fit" and row["regime"] == regime
    ]
    return math.exp(sum(shares) / len(shares))


def table() -> list[Row]:
    """Every published row, those of the fit and those left out of it."""
    return [
        Row(
            row["model"],
            row["regime"],
            row["seq_length"],
            row["tokens_per_second"],
            utilisation(row["regime"]) * _peak() / _model(row["model"]).flops_per_token(row["seq_length"]),
            row["use"] == "fit",
            row["source"],
        )
        for row in _rows()
    ]


def _reached(row: dict[str, Any]) -> float:
    return row["tokens_per_second"] * _model(row["model"]).flops_per_token(row["seq_length"])


def _peak() -> float:
    return chips()[_data()["chip"]]["peak_tflops"] * 1e12


def _rows() -> list[dict[str, Any]]:
    return _data()["rows"]


def _model(name: str) -> Architecture:
    return from_config(_data()["models"][name], name)


@functools.cache
def _data() -> dict[str, Any]:
    return json.loads(PUBLISHED.read_text(encoding="utf-8"))
