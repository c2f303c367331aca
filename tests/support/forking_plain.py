"""Commands without MindSpore in a process that is forked: what several of them import is imported once.

What they start in turn is forked, too: the processes that compare answers, which would import sympy anew, and the Snakemake
that draws a page's graph of rules.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing.context
import multiprocessing.popen_fork
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import forking_msrun
from places import SCRIPTS, SUPPORT

PARENT_ENDS = 1  # PR_SET_PDEATHSIG of prctl
RULES = [sys.executable, "-m", "snakemake"]


def import_libraries() -> None:
    """Import what every command does."""
    sys.path[0] = str(SCRIPTS)
    import numpy  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    from distillery import command  # noqa: F401


def import_for(script: str) -> None:
    """Import what takes this command longest, before it is forked, and those of its kind that come later.

    Not where an act on the disk is to fail: the acts are to be a started command's.
    """
    if "LD_PRELOAD" in os.environ:
        return
    if script.endswith("/score.py"):
        from distillery.evaluate import math_verify_import

        math_verify_import.load()
    elif script.endswith("/report_page.py"):
        from distillery.report import page  # noqa: F401
    gc.freeze()


def instead_of_starting(snakemake: Path) -> None:
    """From here on this process forks what compares answers, and asks at the socket `snakemake` for Snakemake, if it is there."""
    if "LD_PRELOAD" in os.environ:
        return
    multiprocessing.context.SpawnProcess._Popen = staticmethod(Worker)
    if snakemake.exists():
        asking = [sys.executable, "-IS", str(SUPPORT / "forked_job.py"), str(snakemake)]

        class Asking(subprocess.Popen):
            def __init__(self, args: Any, *more: Any, **how: Any) -> None:
                words = [*asking, *args] if isinstance(args, list) and args[:3] == RULES else args
                super().__init__(words, *more, **how)

        subprocess.Popen = Asking


class Worker(multiprocessing.popen_fork.Popen):
    """A fork that ends with its parent, whose end of the pipe it holds, too."""

    def _launch(self, process: Any) -> None:
        begin = process._bootstrap

        def bootstrap(**how: Any) -> int:
            ctypes.CDLL(None).prctl(PARENT_ENDS, signal.SIGKILL)
            forking_msrun.forget_handlers()
            return begin(**how)

        process._bootstrap = bootstrap
        super()._launch(process)
