"""Memory and peak speed of devices, by the name that npu-smi prints.

Published bf16 peaks of the 910B conflict (280 to 414 for the four variants, 320 or 353 elsewhere), so a
measured matmul in `hardware.peak_tflops` is better, and every estimate prints the peak that it used.
62,432 MiB is what a "64 GB" 910B shows to its framework.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from distillery.experiment import Hardware

CHIPS = Path(__file__).with_name("chips.json")
RESERVED_GIB = 3.0  # CANN, collective buffers and the allocator's own
# fp32 matmul of one thread of a present x86 core with AVX-512: 70 to 90 measured
CPU_THREAD_TFLOPS = 0.08
# the generation kernels read weights at 40 to 42 GB/s on one thread, 50 to 53 on two (benchmarks/engine-notes.md)
CPU_BANDWIDTH_TBS = 0.04


@functools.cache
def chips() -> dict[str, dict[str, Any]]:
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
