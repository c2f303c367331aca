"""Commands whose n-th act on the disk is made to fail, by fault_shim.c in LD_PRELOAD.

    done, disk = run(job, folder, Fault("kill", at=3))
    disk.happened                    # False where the command has fewer acts: all were tried

Acts are writes, creations, renames and removals, and fsyncs below the folder, by all processes of the command together;
logs are left out, for how often they are written is a question of time.
"""

from __future__ import annotations

import functools
import hashlib
import mmap
import os
import re
import struct
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import forked
from finished_runs import Job
from places import SUPPORT

KILL, FULL, FAIL, INTERRUPT = "kill", "full", "fail", "interrupt"
# what such a fault strikes: a disk is not full for a rename or a removal
ACTS = {KILL: "wcns", FULL: "wc", FAIL: "wcs", INTERRUPT: "wcns"}
MEASURED = re.compile(r"\.timings\.json$|^\.?metrics\.jsonl(\.sha256)?$")
NAMES = re.compile(r"-\d+(?=\.partial$)")  # a temporary name has its process's number


@dataclass(frozen=True)
class Fault:
    """What is done at which act.

    Attributes:
        do: kill (SIGKILL amid it), full (ENOSPC from it on), fail (EIO at it alone), interrupt (Ctrl-C), back (the clock is set back).
        at: the act's number, from 1; 0 for nothing.
        more: further settings of the shim.
    """

    do: str = KILL
    at: int = 0
    more: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Disk:
    """What came of it: number of acts, looks at files that were late, whether the fault happened, and each act."""

    acts: int
    looks: int
    happened: bool
    trace: tuple[str, ...]


@functools.cache
def _workshop() -> Path:
    """A folder of this process, with the shim compiled in it."""
    folder = tempfile.TemporaryDirectory(prefix="fault-shim-")
    _workshops.append(folder)
    made = Path(folder.name)
    subprocess.run(
        ["gcc", "-O1", "-shared", "-fPIC", "-o", made / "shim.so", SUPPORT / "fault_shim.c", "-ldl"],
        check=True,
    )
    return made


_workshops: list[tempfile.TemporaryDirectory] = []  # removed with this process


def run(job: Job, folder: Path, fault: Fault) -> tuple[subprocess.CompletedProcess[str], Disk]:
    """A job's line in an experiment's folder, under a fault."""
    ledger, trace = _workshop() / "ledger", _workshop() / "trace"
    ledger.write_bytes(bytes(64))
    trace.write_bytes(b"")
    settings = {
        "LD_PRELOAD": str(_workshop() / "shim.so"),
        "FAULT_ROOT": str(folder.resolve()),
        "FAULT_LEDGER": str(ledger),
        "FAULT_TRACE": str(trace),
        "FAULT_ACTS": ACTS.get(fault.do, "wcns"),
        "FAULT_AT": str(fault.at),
        "FAULT_DO": fault.do,
        **fault.more,
    }
    done = forked.run(Path(job.argv[0]).name, *job.argv[1:], cwd=folder, env={**os.environ, **settings})
    with ledger.open("r+b") as stream, mmap.mmap(stream.fileno(), 64) as page:
        acts, looks, happened = struct.unpack_from("3q", page)
    return done, Disk(acts, looks, bool(happened), tuple(trace.read_text().splitlines()))


def state(folder: Path) -> dict[str, str]:
    """{name: digest} of all that stands in an experiment's folder, hidden files too, but measurements and logs."""
    found = {}
    for top in ("resources", "results"):
        for one in sorted((folder / top).rglob("*")):
            if one.is_file() and not MEASURED.search(one.name):
                name = NAMES.sub("-PROCESS", str(one.relative_to(folder)))
                found[name] = hashlib.sha256(one.read_bytes()).hexdigest()
    return found
