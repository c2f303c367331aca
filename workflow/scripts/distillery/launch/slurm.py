"""What a Slurm job knows of itself: nodes, rank, master, granted devices, time left.

Snakemake's jobstep hides most SLURM_* variables from a rule's shell, but not the job's number; inside `srun`
they are all there. So the launcher starts itself once per node with `srun_words`, and asks here.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distillery.problems import Problem

PORTS = 10_000  # jobs in a row that get one each


@dataclass(frozen=True)
class Place:
    """This process's node in a job of several: its rank, and the address of rank 0."""

    node_rank: int
    nodes: int
    master_addr: str


def job_id(environment: Mapping[str, str]) -> str | None:
    """The job that this process belongs to, None outside of Slurm."""
    return environment.get("SLURM_JOB_ID")


def in_step(environment: Mapping[str, str]) -> bool:
    """Whether `srun` started this process, one per node."""
    return "SLURM_NODEID" in environment and "SLURM_STEP_NODELIST" in environment


def srun_words(nodes: int, command: Sequence[str]) -> list[str]:
    """`command` once on each node; when one ends badly the others are ended too."""
    return [
        "srun",
        f"--nodes={nodes}",
        f"--ntasks={nodes}",
        "--ntasks-per-node=1",
        "--kill-on-bad-exit=1",
        *command,
    ]


def place(environment: Mapping[str, str]) -> Place:
    """Rank and master of this process, which `srun` started."""
    names = _ask("scontrol", "show", "hostnames", environment["SLURM_STEP_NODELIST"]).split()
    record = _ask("scontrol", "show", "node", names[0], "--oneliner")
    match = re.search(r"\bNodeAddr=(\S+)", record)
    return Place(int(environment["SLURM_NODEID"]), len(names), match[1] if match else names[0])


def granted_devices(environment: Mapping[str, str]) -> list[int]:
    """Numbers of the generic resources that Slurm gave this job on this node; [] if it names none.

    Slurm sets no ASCEND_RT_VISIBLE_DEVICES, but knows the numbers: `GRES=npu:4(IDX:0-1,6-7)`.
    """
    record = _ask("scontrol", "show", "job", "--details", environment["SLURM_JOB_ID"])
    name = environment.get("SLURMD_NODENAME", "")
    for nodes, granted in re.findall(r"^\s*Nodes=(\S+) .*?GRES=(\S*)", record, re.MULTILINE):
        numbers = _numbers(granted)
        if numbers and name in _ask("scontrol", "show", "hostnames", nodes).split():
            return numbers
    return []


def _numbers(granted: str) -> list[int]:
    """`npu:4(IDX:0-1,6-7)` as [0, 1, 6, 7]."""
    numbers: list[int] = []
    for spans in re.findall(r"\(IDX:([0-9,-]+)\)", granted):
        for span in spans.split(","):
            first, _, last = span.partition("-")
            numbers += range(int(first), int(last or first) + 1)
    return numbers


def port(environment: Mapping[str, str], first: int) -> int:
    """A port from `first` on that all nodes of a job derive alike, and that jobs which share a node do not share."""
    return first + int(environment["SLURM_JOB_ID"]) % min(PORTS, 65536 - first)


def seconds_left(environment: Mapping[str, str]) -> float | None:
    """Seconds until the job's time limit, None without one."""
    text = _ask("squeue", "--noheader", "--jobs", environment["SLURM_JOB_ID"], "--format", "%L").split()
    return _seconds(text[0]) if text else None


def _seconds(text: str) -> float | None:
    """`1-02:03:04`, `02:03:04` or `03:04` in seconds; None for UNLIMITED and the like."""
    match = re.fullmatch(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)", text)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(group or 0) for group in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _ask(*words: str) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Problem("Slurm does not answer", where=" ".join(words), found=error) from error
    if done.returncode:
        raise Problem("Slurm refused a question", where=" ".join(words), found=done.stderr.strip())
    return done.stdout
