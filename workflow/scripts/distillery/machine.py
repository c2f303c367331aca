"""What computes here: processor, memory, system, versions of what numbers depend on, and the project's commit.

It stands beside measurements (resource_samples), never in what a result is named or compared by.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

# whose releases can change a number of a run
PACKAGES = (
    "mindspore",
    "numpy",
    "tokenizers",
    "transformers",
    "safetensors",
    "pyarrow",
    "math-verify",
    "sympy",
)
HERE = Path(__file__).parent


def described() -> dict[str, object]:
    """`processor`, `cores` (of this process), `memory_megabytes` (10^6 bytes), `system`, `versions` and `commit`, None where nothing tells."""
    process = psutil.Process()
    return {
        "processor": _processor(),
        "cores": len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else psutil.cpu_count(),
        "memory_megabytes": psutil.virtual_memory().total // 10**6,
        "system": f"{platform.system()} {platform.release()}",
        "versions": {"python": platform.python_version()} | versions(),
        "commit": commit(),
    }


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """{package: version} of those that are installed; nothing is imported."""
    found = {}
    for name in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def commit(folder: Path = HERE) -> str | None:
    """The commit of the git work tree around a folder, `-dirty` where files differ from it; None outside of any."""
    asked = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _processor() -> str:
    with suppress(OSError):
        found = re.search(
            r"^(?:model name|Hardware)\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE
        )
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()
