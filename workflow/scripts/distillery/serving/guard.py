"""Stand between a job and a server that it started, so that the server ends with the job, however that ends.

    python guard.py COMMAND...        # standard input: a pipe of which the job alone holds the other end

Run by itself, with nothing of the library. The pipe closes when the job ends, also by SIGKILL; then the server, and whatever it
has started, in whatever session, gets SIGTERM and after a while SIGKILL. Should this process be killed, the kernel
kills the server (PR_SET_PDEATHSIG). Ends with the server's status.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

SET_DEATH_SIGNAL, SET_SUBREAPER = 1, 36  # of prctl(2)
POLL_SECONDS, GRACE_SECONDS = 0.1, 10.0
IGNORED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
)  # the job gets them too, and its end is ours


def guard(words: list[str]) -> int:
    """Run a server until it ends, or the pipe does."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(SET_SUBREAPER, 1)  # what the server leaves behind becomes a child of this process

    def prepare() -> None:
        for number in IGNORED:
            signal.signal(number, signal.SIG_DFL)
        libc.prctl(SET_DEATH_SIGNAL, signal.SIGKILL)

    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # the job holds some back
    # locks of devices are inherited, so that they stay taken while a process of the server lives
    server = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, close_fds=False, start_new_session=True, preexec_fn=prepare
    )
    while server.poll() is None:
        if select.select([0], [], [], POLL_SECONDS)[0] and not os.read(0, 1):
            break
    status = server.poll()
    until = time.monotonic() + GRACE_SECONDS
    told: set[int] = set()
    while children := _children():
        late = time.monotonic() > until
        for child in children if late else set(children) - told:
            _end(child, signal.SIGKILL if late else signal.SIGTERM)
        told |= set(children)  # those that lose their parent come one after the other
        time.sleep(POLL_SECONDS)
        server.poll()
        _reap()
    return 0 if status is None else status if status >= 0 else 128 - status


def _children() -> list[int]:
    return [int(one) for one in Path("/proc/self/task", str(os.getpid()), "children").read_text().split()]


def _end(child: int, number: signal.Signals) -> None:
    """Signal a child, and with it the group that it leads."""
    with contextlib.suppress(OSError):
        os.kill(child, number)
    with contextlib.suppress(OSError):
        if os.getpgid(child) == child:
            os.killpg(child, number)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    sys.exit(guard(sys.argv[1:]))
