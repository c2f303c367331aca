"""How many CPU threads the engine uses; must be called before MindSpore is imported."""

from __future__ import annotations

import os


def limit(threads: int) -> None:
    """Give MindSpore's kernels and the native ones `threads` threads, which sleep when they have no work.

    Spinning threads (OpenMP's default) would take the core on which the next kernel runs.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["OMP_WAIT_POLICY"] = "passive"
