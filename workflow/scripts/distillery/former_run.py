"""Runs that were killed: Snakemake leaves the folder locked, and whether a process is gone is known, so nobody has to guess.

Each run keeps a file named after its process while it goes on. A process is told from a later one with the same number by
the time of its start; what it started bears its name in a variable of the environment, and may outlive it.
"""

from __future__ import annotations

import argparse
import atexit
import errno
import os
import re
import shutil
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from distillery.files import write_text
from distillery.problems import Problem
from distillery.processes import began

LOCKS = Path(".snakemake/locks")
RUNS = Path(".snakemake/distillery-runs")
NAME = re.compile(r"(\d+)-(\d+)")
VARIABLE = "DISTILLERY_RUN"
DRY = re.compile(r"--dry-?run|-[a-zA-Z]*n[a-zA-Z]*")
POLL = 1.0  # seconds


def record(line: Sequence[str]) -> None:
    """Write down that this process runs in the working directory, and mark all that it starts from now on.

    Args:
        line: Snakemake's; a dry run locks nothing.

    Raises:
        OSError: the folder cannot be written.
    """
    RUNS.mkdir(parents=True, exist_ok=True)
    if not os.access(RUNS, os.W_OK):  # a dry run, too, keeps records there
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(RUNS.absolute()))
    if any(DRY.fullmatch(word) for word in line):
        return
    name = f"{os.getpid()}-{began(os.getpid())}"
    os.environ[VARIABLE] = name
    path = (RUNS / name).absolute()
    write_text(path, socket.gethostname())
    atexit.register(_forget, path, os.getpid())


def _forget(path: Path, process: int) -> None:
    if os.getpid() == process:  # and not one that was forked from it
        with suppress(OSError):
            path.unlink()


def run(args: argparse.Namespace) -> None:
    """Unlock the working directory if the runs that were in it are gone; nothing is said where there is no lock.

    Jobs of theirs that go on are waited for: what they write would else have two writers.

    Raises:
        Problem: a run goes on; or, without `args.force`, nobody knows whose lock it is.
    """
    dead, elsewhere = [], []
    for path in RUNS.glob("*-*"):
        name = NAME.fullmatch(path.name)
        with suppress(OSError):  # it has just ended
            if path.read_text(errors="replace") != socket.gethostname() or not name:
                elsewhere.append(path)
            elif began(int(name[1])) == name[2]:
                raise Problem(
                    "a run goes on in this folder",
                    where=Path.cwd(),
                    found=f"process {name[1]}",
                    wanted="one run at a time",
                    fix=f"wait for its end, look at it with `make watch`, or stop it with `kill -INT {name[1]}`",
                )
            else:
                dead.append(path)
    locked = any(LOCKS.glob("*.lock"))
    if locked and not args.force and (elsewhere or not dead):
        machines = {printed for path in elsewhere for printed in [path.read_text(errors="replace")[:80]]}
        raise Problem(
            "the folder is locked, and whether its run goes on cannot be seen from here",
            where=Path.cwd(),
            found=f"a run on {', '.join(sorted(machines))}" if machines else "no record of the run",
            fix="see that no Snakemake works in this folder, then say `make unlock` and the same command again",
        )
    for path in dead:
        _wait_for_jobs(path.name)
    for path in [*dead, *(elsewhere if args.force else [])]:
        path.unlink(missing_ok=True)
    if locked:
        shutil.rmtree(LOCKS)  # all that Snakemake's --unlock does, which a faulty configuration would stop
        processes = ", ".join(path.name.partition("-")[0] for path in dead)
        died = f"a former run died (process {processes})" if dead else "unlocked"
        print(f"{died}: its lock is removed, and what it left half-done is made again", flush=True)


def _wait_for_jobs(name: str) -> None:
    said: list[str] = []
    while left := _bearing(name):
        if left != said:
            print(
                f"a former run died, but its processes {', '.join(left)} go on; waiting for their end (`kill` ends them)",
                flush=True,
            )
            said = left
        time.sleep(POLL)


def _bearing(name: str) -> list[str]:
    """Numbers of the processes that a run started, directly or not, as far as this user may see them."""
    wanted = f"{VARIABLE}={name}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
    return sorted(found, key=int)
