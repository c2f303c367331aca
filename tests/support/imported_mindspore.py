"""MindSpore imported before commands are forked."""

from __future__ import annotations

import os
import sys

from places import SCRIPTS


def threads_of(args: list[str]) -> str | None:
    """What a command line says of them."""
    return args[args.index("--threads") + 1] if "--threads" in args else None


def import_mindspore(threads: str) -> None:
    """Import it, and what training and generation import next, for commands of so many threads."""
    sys.path[0] = str(SCRIPTS)
    # OpenMP reads its number of threads when it is loaded
    os.environ["OMP_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"] = threads, "passive"
    from distillery.engine import mindspore_import

    mindspore_import.load("CPU")
    import mindspore.parallel.cluster.run  # noqa: F401

    from distillery.engine import train_loop  # noqa: F401
    from distillery.generate import generate_run, loading  # noqa: F401
    from distillery.train import train_run  # noqa: F401
