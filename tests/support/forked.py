"""Commands as processes forked from one that has imported what takes them longest: MindSpore, or Snakemake.

A start takes one or two CPU seconds less, an end half a second. What is read from the environment while MindSpore is imported
(MS_*; GLOG_v is known, see EARLY), a kill amid the import, and Python's taking its modules apart need a process of their own.

Snakemake's jobs are forked, too, where JOBS stands in its environment: it names the folder of sockets at which
`forked_job.py`, that bash calls in Python's place, asks for them. What commands start is forked, too: msrun and its ranks by
`forking_msrun`, what compares answers by `forking_plain`, what a scheduler's jobs begin with by `forking_snakemake`.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TextIO

import forking_msrun
import forking_plain
import forking_snakemake
from imported_mindspore import import_mindspore, threads_of
from places import SCRIPTS

SNAKEMAKE, MSRUN = "snakemake", "msrun"
PLAIN = "plain"  # without MindSpore
# in a Snakemake's environment: a folder, see above; and whether what a scheduler's jobs begin with is forked, too
JOBS, SUBMITTED = "FORKED_JOBS", "FORKED_SUBMITTED"
# of a command's environment, what is read before it begins: commands that differ in it are forked from different processes,
# and ANOTHER is for those that are to differ in nothing but addresses
ANOTHER = "FORKED_ANOTHER"
EARLY = ("LD_PRELOAD", "GLOG_v", "PYTHONPATH", ANOTHER)
_servers: dict[tuple[str, frozenset[tuple[str, str]]], socket.socket] = {}


class Started:
    """A started command, to be waited for and killed as a subprocess.Popen whose output is kept in files."""

    def __init__(self, args: list[str], env: dict[str, str] | None, cwd: Path) -> None:
        self.args, self.returncode = args, None
        self._status, theirs = os.pipe()
        self.stdout, self.stderr = (tempfile.TemporaryFile("r", errors="replace") for _ in range(2))  # noqa: SIM115
        # opened anew: whoever reads must not move where the command writes
        outputs = [
            os.open(f"/proc/self/fd/{one.fileno()}", os.O_WRONLY) for one in (self.stdout, self.stderr)
        ]
        message = json.dumps([args, dict(os.environ if env is None else env), str(cwd.absolute())])
        early = {
            name: env[name] for name in EARLY if env and name in env and env[name] != os.environ.get(name)
        }
        kind = threads_of(args) or (PLAIN if "LD_PRELOAD" in early else "1")
        server = _server(SNAKEMAKE if args[0] == SNAKEMAKE else kind, early)
        socket.send_fds(server, [message.encode()], [*outputs, theirs])
        for descriptor in (*outputs, theirs):
            os.close(descriptor)
        self.pid = int(self._told())

    def _told(self) -> bytes:
        # byte by byte, without a buffer: of a command that is over both lines lie there
        with os.fdopen(self._status, "rb", 0, closefd=False) as stream:
            line = stream.readline()
        assert line, "the process to fork from has gone"
        return line

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = os.waitstatus_to_exitcode(int(self._told()))
            os.close(self._status)
        return self.returncode

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """(standard output, standard error) of the whole command."""
        self.wait(timeout)
        return self._said(self.stdout), self._said(self.stderr)

    def until(self, text: str) -> None:
        """Return once it stands in the command's standard output."""
        over = False
        while text not in self._said(self.stdout):
            assert not over, self.communicate()
            over = self.poll() is not None
            time.sleep(0.02)

    def _said(self, stream: TextIO) -> str:
        stream.seek(0)
        return stream.read()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(name: str, *words: object, env: dict[str, str] | None = None, cwd: Path = Path()) -> Started:
    """`python NAME WORDS` with a command's name, or Snakemake with SNAKEMAKE, msrun with MSRUN; not waited for."""
    return Started([name if name in (SNAKEMAKE, MSRUN) else str(SCRIPTS / name), *map(str, words)], env, cwd)


def run(
    name: str, *words: object, env: dict[str, str] | None = None, cwd: Path = Path(), timeout: float = 1800
) -> subprocess.CompletedProcess[str]:
    """As `start`, to its end."""
    started = start(name, *words, env=env, cwd=cwd)
    try:
        out, err = started.communicate(timeout)
    finally:
        started.kill()
    return subprocess.CompletedProcess(started.args, started.returncode, out, err)


def jobs() -> dict[str, str]:
    """The environment of a Snakemake whose jobs are to be forked; their code is this clone's, whatever the folder's copy says."""
    for kind in (PLAIN, "1"):  # small.yaml's, and the examples', number of threads
        _server(kind, {})
    return {**os.environ, JOBS: str(_folder())}


@cache
def _folder() -> Path:
    """Where this process's servers listen to jobs, which say nothing early."""
    folder = Path(tempfile.mkdtemp(prefix="forked-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _server(kind: str, early: dict[str, str]) -> socket.socket:
    """What `_serve` listens to, started at the first call; it ends with this process, whose end closes the socket.

    What a command's environment preloads is loaded there, and reads the command's environment after the fork.
    """
    key = kind, frozenset(early.items())
    if key not in _servers:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(str(_folder() / (f"{kind}-{len(_servers)}" if early else kind)))
            listener.listen(100)
            line, env = [sys.executable, __file__, kind, str(listener.fileno())], {**os.environ, **early}
            subprocess.Popen(
                line, stdin=theirs, start_new_session=True, env=env, pass_fds=[listener.fileno()]
            )
        theirs.close()
        _servers[key] = ours
        atexit.register(ours.close)
    return _servers[key]


def _serve(kind: str, number: int) -> tuple[str, list[str], dict[str, str], str]:
    """Fork for every request until there are no more; returns in the process that is to run one: (the socket, what it asks for)."""
    if kind == SNAKEMAKE:
        forking_snakemake.import_snakemake()
    elif kind == PLAIN:
        forking_plain.import_libraries()
    else:
        import_mindspore(kind)
    gc.collect()
    gc.freeze()  # a collection in a fork would look at all that was imported, and make pages of its own of it
    requests, listener = socket.socket(fileno=os.dup(0)), socket.socket(fileno=number)
    name = listener.getsockname()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    waiters: set[int] = set()
    while True:
        ready, *_ = select.select([requests, listener], [], [])
        if requests in ready:
            message, descriptors, *_ = socket.recv_fds(requests, 1 << 20, 3)
            if not message:
                os._exit(0)
        else:
            with listener.accept()[0] as asker:
                message, descriptors, *_ = socket.recv_fds(asker, 1 << 20, 3)
            if len(descriptors) < 3:  # it ended before it had asked
                continue
        if kind == PLAIN:
            forking_plain.import_for(json.loads(message)[0][0])
        if waiter := os.fork():
            waiters.add(waiter)
            for descriptor in descriptors:
                os.close(descriptor)
            waiters -= {one for one in waiters if os.waitpid(one, os.WNOHANG)[0]}
            continue
        # a process that waits for the command: were it this one, it could take no second request
        requests.close()
        listener.close()
        *outputs, status = descriptors
        if child := os.fork():
            os.write(status, b"%d\n" % child)
            os.write(status, b"%d\n" % os.waitpid(child, 0)[1])
            os._exit(0)
        for descriptor, output in enumerate(outputs, 1):
            os.dup2(output, descriptor)
        for descriptor in descriptors:
            os.close(descriptor)
        return name, *json.loads(message)


def _leave(status: list[int]) -> None:
    """End here, if the command ended with a status: what is left to do is to take modules apart."""
    if status:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status[0])


if __name__ == "__main__":
    ended: list[int] = []
    atexit.register(_leave, ended)  # the first to register is the last to be called
    name, sys.argv, environment, directory = _serve(sys.argv[1], int(sys.argv[2]))
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    try:
        if sys.argv[0] == SNAKEMAKE:
            sys.path[0] = directory
            if folder := os.environ.pop(JOBS, None):
                forking_snakemake.fork_jobs(folder)
            if os.environ.pop(SUBMITTED, None):
                forking_snakemake.fork_submitted(name)
            runpy.run_module(SNAKEMAKE, run_name="__main__", alter_sys=True)
        elif sys.argv[0] == MSRUN:
            forking_msrun.main()
        else:
            if "mindspore" in sys.modules:
                forking_msrun.instead_of_starting()
            else:
                forking_plain.instead_of_starting(Path(name).with_name(SNAKEMAKE))
            runpy.run_path(sys.argv[0], run_name="__main__")
        ended.append(0)
    except SystemExit as end:
        ended.append(end.code if isinstance(end.code, int) else int(end.code is not None))
        raise
