"""Commands under what the kernel limits: ulimits, a disk with little room, one that is read-only.

    done = run(job, folder, ulimit("nofile", 7))

Each command is an interpreter of its own, so that its imports are under the limit, too. Disks are mounted in a name space of the
command's own, and are gone with it: for root.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from finished_runs import Job
from places import SCRIPTS

# the folder is copied to a disk that then gets so many kB of room, and back once the command has ended
TINY = """set -e
room=$1 folder=$2 disk=$3; shift 3
mkdir -p "$disk" && mount -t tmpfs none "$disk" && cp -a "$folder/." "$disk"
used=$(df -k --output=used "$disk" | tail -n 1)
mount -o remount,size=$((used + room))k "$disk"
cd "$disk" && code=0 && { "$@" || code=$?; }
find "$folder" -mindepth 1 -delete && cp -a "$disk/." "$folder"
exit $code"""
READ_ONLY = """set -e
for part in resources results; do mount --bind $part $part && mount -o remount,ro,bind $part; done
exec "$@" """


@dataclass(frozen=True)
class Limit:
    """What is limited.

    Attributes:
        name: for messages.
        words: what stands before a command's line; FOLDER is its folder.
        says: what an error has to say of it, a pattern.
    """

    name: str
    words: tuple[str, ...]
    says: str


def ulimit(kind: str, most: int, says: str) -> Limit:
    """A soft and hard limit by prlimit's name of it: fsize [bytes], nofile, as [bytes], cpu [seconds]."""
    return Limit(f"{kind} {most}", ("prlimit", f"--{kind}={most}", "--"), says)


def tiny(room: int, says: str) -> Limit:
    """A disk with so many kB of room for what a command writes."""
    words = ("unshare", "-m", "sh", "-c", TINY, "sh", str(room), "FOLDER", "FOLDER.disk")
    return Limit(f"{room} kB of room", words, says)


def read_only(says: str) -> Limit:
    """Nothing can be written but logs."""
    return Limit("read-only", ("unshare", "-m", "sh", "-c", READ_ONLY, "sh"), says)


def run(job: Job, folder: Path, limit: Limit) -> subprocess.CompletedProcess[str]:
    """A job's line in an experiment's folder, under a limit."""
    words = [word.replace("FOLDER", str(folder.resolve())) for word in limit.words]
    line = [*words, sys.executable, str(SCRIPTS / Path(job.argv[0]).name), *job.argv[1:]]
    return subprocess.run(
        line, cwd=folder, capture_output=True, text=True, errors="replace", check=False, timeout=600
    )
