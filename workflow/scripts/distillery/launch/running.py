"""Run a job on this node: start it, follow its ranks' logs, pass signals on, leave no process behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from distillery import files
from distillery.launch import job_end
from distillery.launch.following import Follower
from distillery.launch.msrun import Job

POLL_SECONDS = 0.2
# workers that die at once must have been seen alive, or nobody knows which rank they were
FIRST_SECONDS, FIRST_POLL_SECONDS = 10, 0.05
# for msrun to end the others once a rank has failed: there is nothing to save then
FAILED_SECONDS = 60
PASSED_ON = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>


def run(
    job: Job,
    words: Sequence[str],
    environment: Mapping[str, str],
    *,
    directory: Path,
    show: Callable[[str], None],
    record: Callable[[dict[str, Any]], None],
    stall_timeout: float,
    grace: float,
    descriptors: Sequence[int] = (),
    stop_at: float | None = None,
    check: Callable[[], object] = bool,
) -> None:
    """Start `words` (from `msrun.command`), return when all ranks have succeeded.

    Args:
        show: receives the lines of the rank that holds the loss.
        record: receives metrics parsed from any rank's lines.
        stall_timeout: seconds of silence that count as a hang; 0 waits for ever.
        grace: seconds for the workers to save after a signal.
        descriptors: kept open by the job, so that locks live as long as it does.
        stop_at: time.monotonic() at which the workers are asked to save and stop, before a scheduler kills them.
        check: called again and again; what it raises ends the job.

    Raises:
        Problem, Interrupted: see `job_end.judge`; and what `check` raises.
    """
    prepare_logs(job)
    # Slurm's SIGTERM ends msrun too; its workers then become our children, and we learn how they end
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    own_log = job.own_log
    with own_log.open("wb") as stream:
        # in a session of its own: Ctrl-C must reach the workers as a chance to save, not msrun, which would
        # kill them and exit 0
        process = subprocess.Popen(
            words,
            stdout=stream,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=dict(environment),
            cwd=directory,
            start_new_session=True,
            pass_fds=tuple(descriptors),
        )
    follower = Follower({rank: job.log(rank) for rank in job.local_ranks}, show, record, job.worker)
    watched = _Watched(process, job, own_log)
    signals = _Signals()
    stalled, deadline = None, None
    began = last_word = time.monotonic()
    try:
        while process.poll() is None or (signals.name and watched.orphans()):
            now = time.monotonic()
            watched.look()
            check()
            if follower.look():
                last_word = now
            if stop_at is not None and now > stop_at and not signals.name:
                signals.note("the end of the time limit")
            if name := signals.fresh():
                show(f"{name}: asking the workers to save and stop")
                watched.send(signal.SIGKILL if signals.count > 1 else signal.SIGTERM)
            if signals.name:
                watched.shield()
            if deadline is None and (signals.name or watched.statuses()):
                deadline = now + (grace if signals.name else min(grace, FAILED_SECONDS))
            if deadline is not None and now > deadline:
                break
            if stall_timeout and now - last_word > stall_timeout:
                stalled = now - last_word
                break
            time.sleep(FIRST_POLL_SECONDS if now - began < FIRST_SECONDS else POLL_SECONDS)
    finally:
        watched.look()
        cut = watched.end()
        signals.restore()
        follower.look(final=True)
    job_end.judge(
        follower,
        watched.statuses(),
        own_log=own_log,
        returncode=process.wait(),
        stalled=stalled,
        signalled=signals.name,
        cut=cut,
    )


def prepare_logs(job: Job) -> None:
    """Make the log folder; what an earlier attempt left there moves to `previous/` in it."""
    job.log_dir.mkdir(parents=True, exist_ok=True)
    stale = [path for path in job.log_dir.iterdir() if path.suffix == ".log" and _mine(path, job)]
    if stale:
        previous = job.log_dir / "previous"
        previous.mkdir(exist_ok=True)
        for path in stale:
            files.remove(previous / path.name)
            os.replace(path, previous / path.name)


def _mine(path: Path, job: Job) -> bool:
    """On a shared disk the other nodes' logs lie here too; each node clears its own."""
    own = {job.own_log, *(job.log(rank) for rank in job.local_ranks)}
    return path in own or (job.node_rank == 0 and path.name == "scheduler.log")


class _Watched:
    """The processes of a job: which is which rank, who is left."""

    def __init__(self, process: subprocess.Popen, job: Job, own_log: Path) -> None:
        self._process, self._job, self._own_log = process, job, own_log
        self._seen: dict[int, psutil.Process] = {}
        self._ranks: dict[int, int] = {} if job.distributed else {process.pid: 0}
        self._reaped: dict[int | None, int] = {}

    def look(self) -> None:
        """Remember every process of the job; orphans could not be found later."""
        try:
            children = psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return
        for child in children:
            self._seen.setdefault(child.pid, child)
            if self._job.distributed and child.pid not in self._ranks:
                self._name(child)

    def _name(self, child: psutil.Process) -> None:
        try:
            variables = child.environ()
            leader = os.getsid(child.pid) == child.pid  # msrun and torchrun give each worker a session
        except (psutil.Error, ProcessLookupError):
            return
        rank = variables.get("RANK_ID" if variables.get("MS_ROLE") == "MS_WORKER" else "RANK")
        if leader and rank and variables.keys() & {"RANK_ID", "TORCHELASTIC_RUN_ID"}:
            self._ranks[child.pid] = int(rank)

    def shield(self) -> None:
        """Keep msrun from killing the ranks that still save once the first one has ended with status 3.

        It is stopped while any of them runs, and goes on to count them when none does.
        """
        if self._job.distributed and self._process.poll() is None:
            self._process.send_signal(signal.SIGSTOP if self._working() else signal.SIGCONT)

    def _working(self) -> bool:
        for pid in self._ranks:
            try:
                if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                    return True
            except psutil.NoSuchProcess:
                continue
        return False

    def orphans(self) -> bool:
        """After msrun's end: is a worker left? Notes the status of those that ended."""
        alive = False
        for pid, rank in self._ranks.items():
            try:
                done, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue
            alive |= not done
            if done and status:
                self._reaped[rank] = os.waitstatus_to_exitcode(status)
        return alive

    def statuses(self) -> dict[int | None, int]:
        """Exit status of the workers known to have ended badly."""
        if not self._job.distributed:
            status = self._process.poll()
            return {0: status} if status else {}
        text = self._own_log.read_text(encoding="utf-8", errors="replace")
        return {**job_end.exits(text, self._ranks), **self._reaped}

    def send(self, number: int) -> None:
        """Pass a signal to the workers; msrun itself waits for them."""
        for pid in list(self._ranks):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def end(self) -> bool:
        """Kill whatever is left of the job; True if a worker was."""
        working = self._working()
        left = [child for child in self._seen.values() if child.is_running()]
        if self._process.poll() is None:
            self._process.kill()
        for child in left:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(left, timeout=10)
        return working


class _Signals:
    """Notes signals instead of dying of them, from creation until `restore`."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.count = 0
        self._fresh = False
        self._former = {number: signal.signal(number, self._note) for number in PASSED_ON}

    def _note(self, number: int, frame: object) -> None:
        self.note(signal.Signals(number).name)

    def note(self, name: str) -> None:
        self.name, self._fresh = name, True
        self.count += 1

    def fresh(self) -> str | None:
        """The name of a signal that came since the last call."""
        fresh, self._fresh = self._fresh, False
        return self.name if fresh else None

    def restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
