"""The exit status of a rank, whatever MindSpore's own end does to it.

MindSpore 2.10 closes a rank's connections in an exit function, after the rank has taken leave of the scheduler. On a
busy machine its thread of events may then read a connection that has gone (a null pointer in
libmindspore_cluster.so, below TCPClient::Finalize): all is done and written, and the rank is "killed by SIGSEGV",
for which msrun kills the others and calls the job failed.
"""

from __future__ import annotations

import ctypes
import subprocess
from contextlib import suppress
from pathlib import Path

from distillery.engine.compiling import library

SOURCE = Path(__file__).with_name("rank_end.cpp")


def keep(status: int) -> None:
    """From now on a segmentation fault ends this process with `status`; for a command that has nothing left to do.

    Where no C++ compiler is, nothing is changed.
    """
    with suppress(OSError, subprocess.CalledProcessError):
        ctypes.CDLL(str(library(SOURCE))).keep(status)
