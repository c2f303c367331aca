"""How a job ended, told truthfully: finished, failed, killed, hung, interrupted, or never met."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from pathlib import Path

from distillery.launch.following import Follower
from distillery.problems import Interrupted, Problem

# the words of msrun and of torchrun about a worker that ended badly; their own exit status is 1 whatever its was
MSRUN_EXIT = re.compile(r"Worker process (?P<pid>\d+) exit with exception\. Error code: (?P<status>-?\d+)")
TORCHRUN_EXIT = re.compile(r"exitcode\s*: (?P<status>-?\d+)\)?\s+(?:local_rank: \d+ )?\(pid: (?P<pid>\d+)\)")


def exits(output: str, ranks: Mapping[int, int]) -> dict[int | None, int]:
    """{rank: exit status} of workers that their starter found ended badly; negative is a signal; `ranks` maps pid to rank."""
    told = [found for pattern in (MSRUN_EXIT, TORCHRUN_EXIT) for found in pattern.finditer(output)]
    return {ranks.get(int(one["pid"])): int(one["status"]) for one in told}


def judge(
    follower: Follower,
    statuses: Mapping[int | None, int],
    *,
    own_log: Path,
    returncode: int,
    stalled: float | None,
    signalled: str | None,
    cut: bool,
) -> None:
    """Return if the job succeeded.

    Args:
        statuses: exit status by rank, of the workers known to have ended badly.
        own_log: what msrun itself said.
        returncode: of msrun, or of the worker itself where there is but one.
        stalled: seconds of silence after which the job was killed, if it was.
        signalled: name of the signal that this launcher received, if it did.
        cut: workers were left at the end, and had to be killed.

    Raises:
        Interrupted: the workers saved their state after a signal, and said so by status 3.
        Problem: anything else than success.
    """
    # Slurm signals every process of a step: msrun then dies, and its workers' own ends count
    ended_well = not statuses and not cut and (returncode == 0 or (signalled and returncode < 0))
    early = follower.reached is not None and follower.reached[0] < follower.reached[1]
    # our workers say "saved" by status 3, Megatron's by status 0 before the last step
    if signalled and (3 in statuses.values() or (ended_well and early)):
        raise Interrupted(
            f"stopped by {signalled}, and the workers saved their state",
            where=follower.ranks[follower.shown].path,
            fix="run the same command again: it continues there",
        )
    if signalled and not ended_well:
        raise Problem(
            f"stopped by {signalled} before the workers could save",
            found=follower.last_words([follower.shown]),
            fix="run the same command again: it continues from the last checkpoint, if there is one",
        )
    if stalled is not None:
        raise Problem(
            f"the job hung: no rank wrote a line for {stalled:.0f} s, so it was killed",
            found=follower.last_words(),
            fix="look for the rank whose last line differs; slow steps need a larger msrun.stall_timeout",
        )
    if ended_well:
        if early:
            raise Problem(
                "every rank ended with status 0, but training did not reach its end",
                where=follower.ranks[follower.shown].path,
                found="iteration {} of {}".format(*follower.reached),
                fix="run the same command again: it continues from the last checkpoint, if there is one",
            )
        return
    if any(log.watch.cluster_timeout for log in follower.ranks.values()):
        raise Problem(
            "the ranks did not find one another in time",
            where=follower.ranks[min(follower.ranks)].path,
            found="msrun's cluster_time_out passed before all workers had come",
            fix="start every node, check master_addr and master_port from each, or raise msrun.cluster_time_out",
        )
    raise _failure(follower, statuses, returncode, own_log)


def _status(status: int) -> str:
    """`SIGKILL` for -9, `status 7` for 7."""
    return signal.Signals(-status).name if status < 0 else f"status {status}"


def _tail(path: Path, lines: int = 5) -> str:
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    return "\n           ".join(text.splitlines()[-lines:]) or "an empty log"


def _failure(
    follower: Follower, statuses: Mapping[int | None, int], returncode: int, own_log: Path
) -> Problem:
    erred = follower.first_error()
    named = [rank for rank in statuses if rank is not None]
    rank = erred if erred is not None else (named[0] if named else None)
    if rank is None:
        ended = f"; a worker ended with {_status(statuses[None])}" if None in statuses else ""
        return Problem(
            f"the job ended with status {returncode}, and no rank said why{ended}",
            where=own_log,
            found=_tail(own_log),
            fix="run the line above by hand",
        )
    log = follower.ranks[rank]
    status = statuses.get(rank)
    if log.watch.error is None and status is not None and status < 0:
        killer = (
            "the kernel's out-of-memory killer sends SIGKILL: see `dmesg`, and lower the memory of a rank"
        )
        return Problem(
            f"rank {rank} was killed by {_status(status)}",
            where=log.path,
            found=follower.last_words([rank], 1),
            fix=killer if status == -signal.SIGKILL else "a crash in native code: see the log's last lines",
        )
    if log.watch.error is None:
        return Problem(
            f"rank {rank} ended with status {status} without a word",
            where=log.path,
            found=follower.last_words([rank]),
            fix="run the line above by hand to see what its interpreter says",
        )
    ended = f" (status {status})" if status is not None else ""
    indented = log.watch.error.replace("\n", "\n           ")
    return Problem(
        f"rank {rank} failed first{ended}", where=log.path, found=indented, fix="cure that rank's error"
    )
