"""Devices and ports for jobs that share a machine: each is held by a lock that dies with its holder.

    with devices.hold(2, candidates=[0, 1, 2, 3], folder) as chosen:      # waits until two are free
        environment["ASCEND_RT_VISIBLE_DEVICES"] = ",".join(map(str, chosen.devices))

Snakemake counts NPUs but does not say which. The locks are flock(2) on files of one folder per machine, so
that they serve all users; a killed holder frees them. They are inherited by the job's processes
(`chosen.descriptors`), so that a device stays taken while an orphaned worker still uses it.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from distillery.problems import Problem, UsageProblem

POLL_SECONDS = 0.5
PORTS_TRIED = 200


@dataclass(frozen=True)
class Held:
    """Devices that this process has locked: their numbers, and the open files that lock them."""

    numbers: tuple[int, ...]
    descriptors: tuple[int, ...]


def lock_folder() -> Path:
    """The machine's folder for locks, writable by every user of it."""
    folder = Path(tempfile.gettempdir()) / "distillery-locks"
    if not folder.exists():
        folder.mkdir(exist_ok=True)
        folder.chmod(0o1777)
    return folder


def visible(environment: Mapping[str, str], count: int, granted: Sequence[int] | None = None) -> list[int]:
    """Device numbers that this job may choose from.

    Those of ASCEND_RT_VISIBLE_DEVICES that a scheduler granted, where either says anything; else the machine's
    device files, and on a machine without any (a rehearsal on a CPU) the numbers from 0 on.
    """
    named = environment.get("ASCEND_RT_VISIBLE_DEVICES")
    if named:
        numbers = [int(number) for number in named.split(",")]
        # the variable may come from the shell that submitted the job, the grant is this node's
        return [number for number in numbers if number in granted] if granted else numbers
    if granted:
        return list(granted)
    files = (re.fullmatch(r"davinci(\d+)", entry) for entry in os.listdir("/dev"))
    return sorted(int(match[1]) for match in files if match) or list(range(count))


def enough(wanted: int, candidates: Sequence[int]) -> None:
    """Raise a UsageProblem unless `wanted` devices can be had here."""
    if len(candidates) < wanted:
        raise UsageProblem(
            "the job needs more devices than this machine shows",
            found=f"{len(candidates)} ({', '.join(map(str, candidates)) or 'none'})",
            wanted=wanted,
            fix="check ASCEND_RT_VISIBLE_DEVICES and `npu-smi info`, or lower npus_per_node",
        )


@contextmanager
def hold(
    wanted: int, candidates: Sequence[int], folder: Path, say: Callable[[str], None] = lambda text: None
) -> Iterator[Held]:
    """Lock `wanted` of the candidate numbers, all or none at a time, waiting until they are free.

    Args:
        say: told once, when there is something to wait for.
    """
    waited = False
    while True:
        held: dict[int, int] = {}
        for number in candidates:
            if len(held) < wanted:
                descriptor = try_lock(folder / f"npu{number}.lock")
                if descriptor is not None:
                    held[number] = descriptor
        if len(held) == wanted:
            break
        # two jobs that each hold half of the machine would wait for ever: give back, then try again
        for descriptor in held.values():
            os.close(descriptor)
        if not waited:
            say(f"waiting for {wanted} of the devices {', '.join(map(str, candidates))}: others hold them")
            waited = True
        time.sleep(POLL_SECONDS * (1 + os.getpid() % 7 / 10))
    try:
        yield Held(tuple(held), tuple(held.values()))
    finally:
        for descriptor in held.values():
            os.close(descriptor)


@contextmanager
def port(first: int, folder: Path) -> Iterator[Held]:
    """A free TCP port from `first` on that no other launch of this machine has chosen.

    Raises:
        Problem: all of the next 200 are taken.
    """
    for number in range(first, min(first + PORTS_TRIED, 65536)):
        descriptor = try_lock(folder / f"port{number}.lock")
        if descriptor is None:
            continue
        try:
            if _bindable(number):
                yield Held((number,), (descriptor,))
                return
        finally:
            os.close(descriptor)
    raise Problem(
        "no free port",
        found=f"{first} to {first + PORTS_TRIED - 1} are all taken",
        fix="end what holds them; msrun's scheduler takes those from hardware.<name>.master_port on",
    )


def try_lock(path: Path) -> int | None:
    """A descriptor that holds the lock, or None if another process has it.

    Raises:
        Problem: another user's file, closed to us.
    """
    try:
        descriptor = _opened(path)
    except PermissionError as error:
        raise Problem(
            "a lock cannot be opened",
            where=path,
            found=error.strerror,
            wanted="a file, in a folder, that every user may write",
            fix=f"let its owner say: chmod 1777 {path.parent} && chmod 666 {path}",
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _opened(path: Path) -> int:
    while True:
        try:
            # O_CREAT on a file that is there: kernels refuse it where another user owns the file (fs.protected_regular)
            return os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            mask = os.umask(0)
            try:
                return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            except FileExistsError:
                continue  # another job made it in between
            finally:
                os.umask(mask)


def _bindable(number: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", number))
        except OSError:
            return False
    return True
