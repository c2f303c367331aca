"""Compile a C++ source of this folder for this CPU on first use, and keep the library in the user's cache.

The file's name is the digest of the source, the headers, the compiler, its flags and the CPU, so nothing stale is ever loaded.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from distillery import files, one_writer, provenance
from distillery.digests import atomic, intact
from distillery.problems import Problem

SOURCE = Path(__file__).with_name("native.cpp")  # training's kernels
DECODING = Path(__file__).with_name("decoding.cpp")  # generation's
# no -ffast-math: its start-up code would make the whole process flush denormals
FLAGS = "-O3 -march=native -fopenmp -funroll-loops -fno-math-errno -ffp-contract=fast -std=c++17 -shared -fPIC".split()

BUILDING = 600.0  # seconds to wait for another process that builds the same


def compiler() -> str | None:
    """Path of the C++ compiler: $CXX, else g++; None without one."""
    return shutil.which(os.environ.get("CXX", "g++"))


def digests(source: Path) -> list[str]:
    """sha256 of the source and of the headers beside it."""
    return [files.sha256(text) for text in [source, *sorted(source.parent.glob("*.h"))]]


@cache
def library(source: Path) -> Path:
    """The compiled library of one source; builds it if it is not in $XDG_CACHE_HOME/distillery (default ~/.cache).

    Raises:
        Problem: another process builds it, and does not end.
        OSError or subprocess.CalledProcessError: no compiler, or it does not compile this source.
    """
    gxx = compiler()
    if gxx is None:
        raise FileNotFoundError("no C++ compiler: neither $CXX nor g++ is on the PATH")
    version = subprocess.run([gxx, "--version"], check=True, capture_output=True, text=True).stdout
    identity = [digests(source), FLAGS, version, _cpu()]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    target = home / "distillery" / f"{source.stem}-{provenance.digest(identity)[:20]}.so"
    if not intact(target):  # a damaged one would end the process when it is loaded
        with one_writer.of(target, BUILDING):
            if not intact(target):
                with atomic(target) as partial:
                    line = [gxx, *FLAGS, "-o", partial, source]
                    subprocess.run(line, check=True, capture_output=True, text=True)
    return target


def usable(source: Path, wanted: str) -> bool:
    """Whether the kernels of one source are there, or could be built.

    Args:
        wanted: native, or auto, which says on standard error why they could not.

    Raises:
        Problem: native ones are wanted and cannot be built.
    """
    try:
        library(source)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip()
        if wanted == "native":
            raise Problem(
                "the native kernels cannot be built",
                where=source.name,
                found=reason.splitlines()[-1],
                fix="install g++, set CXX to a working compiler, or use --kernels composed",
            ) from None
        print(f"composed kernels: native ones cannot be built here ({reason})", file=sys.stderr)
        return False
    return True


def _cpu() -> list[str]:
    """What -march=native looks at: model and feature flags of the first core."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
    wanted = ("model name", "flags", "Features", "CPU part", "CPU implementer")
    return [platform.machine(), *(line for line in text.splitlines() if line.startswith(wanted))]
