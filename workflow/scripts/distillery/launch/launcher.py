"""From a launch request to a finished job: nodes, devices, port, environment, run, proof.

launcher.start(Request(worker=("train.py",), log_dir=Path("logs/t"), workers=8, npus=8))
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from distillery import blas_threads, resource_samples
from distillery.launch import (
    devices,
    environment,
    following,
    launch_request,
    log_folder,
    msrun,
    running,
    slurm,
    torchrun,
)
from distillery.launch.launch_request import Request, words
from distillery.problems import Interrupted, Problem, UsageProblem
from distillery.provenance import SCRIPTS

# seconds between a stop and a Slurm limit, beside the grace: to notice the one, and to end before the other
MARGIN = 60
LOOK_SECONDS = 1  # between two looks at a log on the shared disk


def run(args: argparse.Namespace) -> None:
    """Do what launch.py's flags ask.

    Raises:
        as `start`.
    """
    start(launch_request.from_args(args, args.worker))


def start(wanted: Request) -> None:
    """Run the request: where Slurm gave several nodes, by a launch.py on each of them; else here.

    Raises:
        Problem, Interrupted: with what happened; see `job_end.judge`.
        SystemExit: it was only to be printed, so that whoever asked has nothing to take over.
    """
    if wanted.nodes == 1 or not slurm.job_id(os.environ):
        run_here(wanted)
    elif slurm.in_step(os.environ):
        try:
            run_here(wanted)
        except Interrupted:
            # srun would answer another status than 0 by killing the nodes that still save
            _interrupted(wanted).touch()
    else:
        _on_each_node(wanted)
    if wanted.print_only:
        raise SystemExit(0)


def _on_each_node(wanted: Request) -> None:
    launch = [sys.executable, str(SCRIPTS / "launch.py"), *words(wanted)]
    again = slurm.srun_words(wanted.nodes, launch)
    _interrupted(wanted).unlink(missing_ok=True)
    last = _last_rank(wanted)
    with subprocess.Popen(again, env=blas_threads.environment_as_found()) as srun:
        try:
            while (status := _ended(srun)) is None:
                last.look()
        except BaseException:
            srun.kill()
            raise
    if status:
        raise Problem(f"the job failed on a node (status {status})", where="the messages above")
    if _interrupted(wanted).exists():
        raise Interrupted("stopped, and the workers saved their state", fix="run the same command again")


def _last_rank(wanted: Request) -> following.Elsewhere:
    log = msrun.rank_log(wanted.log_dir, wanted.nodes * wanted.workers - 1)
    return following.Elsewhere(log, wanted.worker)


def _ended(process: subprocess.Popen) -> int | None:
    """Its status, or None after a while in which it ran."""
    try:
        return process.wait(LOOK_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _interrupted(wanted: Request) -> Path:
    """The mark that a node leaves when its workers saved after a signal."""
    return wanted.log_dir / "interrupted"


def run_here(wanted: Request, show: Any = print) -> None:
    """Run the request on this node and return when the job has succeeded.

    Raises:
        Problem, Interrupted: with what happened; see `job_end.judge`.
    """
    wanted = _placed(wanted)
    granted = slurm.granted_devices(os.environ) if wanted.npus and slurm.job_id(os.environ) else []
    candidates = devices.visible(os.environ, wanted.npus, granted)
    devices.enough(wanted.npus, candidates)
    host = socket.gethostname()
    names = list(filter(None, [os.environ.get("SLURMD_NODENAME"), host, host.partition(".")[0]]))
    variables = {**wanted.env, **environment.of_node(wanted.node_env, names)}
    locks = devices.lock_folder()
    with ExitStack() as stack:
        descriptors: tuple[int, ...] = ()
        if wanted.npus:
            # what Slurm granted too: several launches may share one allocation
            held = stack.enter_context(devices.hold(wanted.npus, candidates, locks, show))
            descriptors = held.descriptors
            variables["ASCEND_RT_VISIBLE_DEVICES"] = ",".join(map(str, held.numbers))
        if wanted.nodes == 1 and wanted.workers > 1:
            port = stack.enter_context(devices.port(wanted.master_port, locks))
            descriptors += port.descriptors
            wanted = replace(wanted, master_port=port.numbers[0])
        _run(wanted, variables, descriptors, show)


def _placed(wanted: Request) -> Request:
    """With Slurm's node rank, master and a port of its own where this is a step of several nodes."""
    if wanted.nodes > 1 and slurm.in_step(os.environ):
        where = slurm.place(os.environ)
        if where.nodes != wanted.nodes:
            raise UsageProblem("Slurm gave another number of nodes", found=where.nodes, wanted=wanted.nodes)
        port = slurm.port(os.environ, wanted.master_port)
        wanted = replace(wanted, node_rank=where.node_rank, master_addr=where.master_addr, master_port=port)
    return wanted


def planned(wanted: Request) -> tuple[msrun.Job, list[str]]:
    """The request as a job on this node, and the words that start it, by msrun or by torchrun."""
    job = msrun.Job(
        worker=wanted.worker,
        log_dir=wanted.log_dir.absolute(),
        local_workers=wanted.workers,
        nodes=wanted.nodes,
        node_rank=wanted.node_rank,
        master_addr=wanted.master_addr,
        master_port=wanted.master_port,
        cluster_time_out=wanted.cluster_time_out,
        bind_core=wanted.bind_core,
    )
    # where the workers start, a relative path would lead elsewhere; a virtual environment's link must stay one
    python = Path(wanted.python).absolute()
    if wanted.framework == "pytorch":
        return job, torchrun.command(job, str(python))
    return job, msrun.command(job, str(python), str(python.with_name("msrun")))


def _run(wanted: Request, variables: dict[str, str], descriptors: tuple[int, ...], show: Any) -> None:
    job, line = planned(wanted)
    prepared = environment.prepared(wanted.set_env, variables, wanted.python)
    directory = wanted.directory.absolute()
    show(environment.pasteable(wanted.set_env, variables, wanted.python, line, directory))
    if wanted.print_only:
        return
    if wanted.nodes > 1:
        log_folder.check_shared(job.log_dir, job.node_rank)
    left = _seconds_left(show)
    # a limit of minutes leaves less: a quarter of it, so that some steps are done
    stop_at = None if left is None else time.monotonic() + left - min(wanted.grace + MARGIN, left / 4)
    with ExitStack() as stack:
        descriptors += stack.enter_context(log_folder.alone(job))
        record = functools.partial(_append, wanted.metrics) if wanted.metrics else _nowhere
        if wanted.samples:
            node = f".node{job.node_rank}" if job.node_rank else ""
            path = wanted.samples.with_name(f"{wanted.samples.stem}{node}{wanted.samples.suffix}")
            stack.enter_context(resource_samples.Sampler(path, resource_samples.visible(variables)))
        running.run(
            job,
            line,
            prepared,
            directory=directory,
            show=show,
            record=record,
            stall_timeout=wanted.stall_timeout,
            grace=wanted.grace,
            descriptors=descriptors,
            stop_at=stop_at,
            check=_watched(wanted, job),
        )
    missing = [path for path in wanted.expect if not path.exists()]
    if missing and job.node_rank == 0:
        raise Problem(
            "every rank ended with status 0, but the result is not there",
            where=", ".join(map(str, missing)),
            fix=f"read {job.log(job.local_ranks[-1])} for what the workers did",
        )


def _watched(wanted: Request, job: msrun.Job) -> Callable[[], object]:
    """What node 0 looks at besides its ranks: the first checkpoint that they save, and the last rank's log on another node."""
    if job.node_rank:
        return bool
    looks = [_last_rank(wanted).look] if job.nodes > 1 else []
    if wanted.checkpoints is not None:
        from distillery.launch import first_save  # heavy

        looks.append(first_save.FirstSave(wanted.checkpoints, job.nodes).look)
    return lambda: [look() for look in looks]


def _seconds_left(show: Any) -> float | None:
    """Until Slurm's limit; None without one, or where nothing tells."""
    if not slurm.job_id(os.environ):
        return None
    try:
        return slurm.seconds_left(os.environ)
    except Problem as problem:
        # a container may have the job's variables and none of Slurm's commands
        show(f"no time limit is known, so nothing is saved ahead of it: {problem}")
        return None


def _append(metrics: Path, record: Mapping[str, Any]) -> None:
    """One JSON line more. Opened anew each time: another node may have cut the file before training began."""
    metrics.parent.mkdir(parents=True, exist_ok=True)
    with metrics.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(record) + "\n")


def _nowhere(record: Mapping[str, Any]) -> None:
    """For workers that write their own metrics."""
