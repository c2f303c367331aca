"""What is installed on this machine, each thing tried and not just looked up.

    for result in examine(scope(config, Path.cwd())): print(result)

Every check is a function that returns a `Result`; none raises, whatever it finds broken.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from distillery.doctor import Result, fail, good, npu_machine, reach
from distillery.experiment import Config
from distillery.hardware import Hardware
from distillery.launch import environment
from distillery.problems import Problem
from distillery.provenance import SCRIPTS

LOCK = SCRIPTS.parents[1] / "envs" / "requirements.txt"
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)(?:\s*;\s*([^\\]+))?")
NAME = re.compile(r"[A-Za-z]\w*")
OP = """
import json, time, mindspore as ms
ms.set_context(device_target={device!r})
begun = time.perf_counter()
x = ms.Tensor([[1.0, 2.0], [3.0, 4.0]])
value = ms.ops.matmul(x, x).asnumpy().tolist()
assert value == [[7.0, 10.0], [15.0, 22.0]], value
print(json.dumps([ms.__version__, round(time.perf_counter() - begun, 2)]))
"""
DISK_GIB, SCRATCH_GIB = 5, 2
SLOW = 180  # seconds that a broken installation may take to fail


@dataclass(frozen=True)
class Scope:
    """What to look at: machines of the configuration, and the hubs it asks, each by its addresses in their order."""

    hardware: tuple[Hardware, ...] = ()
    hubs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    directory: Path = Path()


def scope(config: Config, directory: Path) -> Scope:
    """What the selected experiments of a configuration need, where they will run below `directory`."""
    machines = {one.hardware.name: one.hardware for one in config.experiments.values()}
    return Scope(tuple(machines.values()), reach.hubs(config), directory)


def examine(scope: Scope) -> Iterator[Result]:
    """All results, the quick ones first."""
    yield python()
    yield versions()
    yield numpy_abi()
    yield imports()
    npus = [machine for machine in scope.hardware if machine.device == "Ascend"]
    if len(npus) < max(1, len(scope.hardware)):
        yield operation()
    for machine in npus:
        yield operation(machine)
    yield msrun()
    for machine in {one.master_port: one for one in scope.hardware if one.npus_per_node > 1}.values():
        yield reach.port(machine)
    yield disk(scope.directory)
    yield scratch()
    for name, addresses in scope.hubs.items():
        yield reach.hub(name, addresses)
    yield from npu_machine.examine(scope.hardware)


def python() -> Result:
    """An interpreter that both Snakemake and MindSpore support."""
    found = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] <= (3, 12):
        return good("python", found)
    return fail("python", found, "use 3.11 or 3.12: Snakemake 9 needs the one, MindSpore 2.10 the other")


def locked(lock: Path = LOCK) -> dict[str, str]:
    """Distribution -> version of the lock file, for this platform."""
    from packaging.markers import Marker

    pins = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        match = PINNED.match(line)
        if match and (not match[3] or Marker(match[3].strip()).evaluate()):
            pins[match[1]] = match[2]
    return pins


def versions(lock: Path = LOCK) -> Result:
    """Every locked distribution is installed in its version."""
    pins = locked(lock)
    wrong = []
    for name, wanted in sorted(pins.items()):
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = "nothing"
        if found != wanted:
            wrong.append(f"{name} {found}, locked {wanted}")
    if wrong:
        return fail("packages", "; ".join(wrong), "make setup")
    return good("packages", f"{len(pins)} as locked")


def numpy_abi() -> Result:
    """MindSpore 2.10 is compiled against NumPy 1.x: with 2 it imports, and fails at its first reshape."""
    try:
        found = metadata.version("numpy")
    except metadata.PackageNotFoundError:
        return fail("numpy ABI", "no numpy", "make setup")
    if int(found.split(".")[0]) >= 2:
        return fail(
            "numpy ABI",
            f"numpy {found} under MindSpore 2.10",
            "pip install 'numpy<2' 'pandas<3' 'pyarrow<26'",
        )
    return good("numpy ABI", f"numpy {found}")


def imports(lock: Path = LOCK) -> Result:
    """Each locked distribution imports, in a process of its own kind: what breaks there breaks no doctor."""
    pins = {_normal(name) for name in locked(lock)}
    modules = [
        module
        for module, owners in sorted(metadata.packages_distributions().items())
        if NAME.fullmatch(module) and any(_normal(owner) in pins for owner in owners)
    ]
    text = (
        "import importlib, json, sys\n"
        "bad = {}\n"
        f"for name in {modules!r}:\n"
        "    try: importlib.import_module(name)\n"
        "    except BaseException as error: bad[name] = f'{type(error).__name__}: {error}'[:200]\n"
        "sys.stdout.write('\\n' + json.dumps(bad))\n"
    )
    answer = _run([sys.executable, "-c", text])
    try:
        bad = json.loads(answer.splitlines()[-1])
    except (ValueError, IndexError):
        return fail("imports", _essence(answer), "make setup")
    if bad:
        return fail("imports", "; ".join(f"{name}: {error}" for name, error in bad.items()), "make setup")
    return good("imports", f"{len(modules)} modules")


def _normal(name: str) -> str:
    """A distribution's name as all its spellings have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def operation(machine: Hardware | None = None) -> Result:
    """A matmul on the CPU, or on a machine's NPU in the environment that its ranks get.

    MindSpore prints its version even where its back end is missing.
    """
    name, device = (f"matmul on {machine.name}", "Ascend") if machine else ("matmul on CPU", "CPU")
    settings: Mapping[str, str] = os.environ
    if machine:
        try:
            settings = environment.prepared(machine.set_env, environment.variables(machine), sys.executable)
        except Problem as problem:
            return fail(name, f"{problem.what}: {problem.where}", problem.fix or "")
    answer = _run([sys.executable, "-c", OP.format(device=device)], settings)
    try:
        version, seconds = json.loads(answer.splitlines()[-1])
    except (ValueError, IndexError):
        cure = (
            f"let hardware.{machine.name}.set_env name CANN's set_env.sh, and match MindSpore, CANN and driver"
            if machine
            else "make setup"
        )
        return fail(name, _essence(answer), cure)
    return good(name, f"MindSpore {version}, {seconds} s")


def msrun() -> Result:
    """MindSpore's launcher, beside the interpreter or on the PATH."""
    beside = Path(sys.executable).parent / "msrun"
    found = str(beside) if beside.exists() else shutil.which("msrun")
    return (
        good("msrun", found) if found else fail("msrun", "not found", "make setup: it comes with mindspore")
    )


def disk(directory: Path) -> Result:
    """Room for a small run."""
    free = shutil.disk_usage(directory or ".").free / 2**30
    if free < DISK_GIB:
        return fail(
            "disk", f"{free:.1f} GiB free", f"free at least {DISK_GIB} GiB; `make plan` says what a run needs"
        )
    return good("disk", f"{free:.1f} GiB free")


def scratch() -> Result:
    """TMPDIR takes files, and enough of them."""
    place = tempfile.gettempdir()
    try:
        with tempfile.NamedTemporaryFile() as one:
            one.write(b"x" * 4096)
    except OSError as error:
        return fail("TMPDIR", f"{place}: {error}", "set TMPDIR to a directory that can be written")
    free = shutil.disk_usage(place).free / 2**30
    if free < SCRATCH_GIB:
        return fail(
            "TMPDIR", f"{place}: {free:.1f} GiB free", f"set TMPDIR to a place with {SCRATCH_GIB} GiB"
        )
    return good("TMPDIR", f"{place}: {free:.1f} GiB free")


def _essence(answer: str) -> str:
    """The line of a traceback that says what went wrong."""
    lines = [line.strip() for line in answer.splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Problem)\b", line)]
    return (telling or lines or ["no answer"])[-1][:200]


def _run(line: Iterable[str], settings: Mapping[str, str] = os.environ) -> str:
    try:
        answer = subprocess.run(
            list(line),
            capture_output=True,
            text=True,
            timeout=SLOW,
            check=False,
            env={**settings, "GLOG_v": "3"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return answer.stdout if answer.returncode == 0 else answer.stdout + answer.stderr
