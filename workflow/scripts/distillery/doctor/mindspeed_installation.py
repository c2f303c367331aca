"""An installation of MindSpeed-LLM as its ranks will find it: scripts, checkout, environment, imports, pins.

Everything is asked of its own interpreter, in its own directory, after `set_env` was sourced: what a shell of this user
has does not count. Nothing here was run on an NPU.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from distillery.doctor import Result, fail, good, releases
from distillery.doctor.releases import Release
from distillery.hardware import Hardware
from distillery.launch import environment
from distillery.problems import Problem

SECONDS = 180  # for all imports: torch_npu and MindSpore take their time when cold
ATB = "ATB_HOME_PATH"  # what nnal/atb/set_env.sh exports
IMPORT = """
import importlib, sys
from importlib import metadata
for name in sys.argv[1].split(","):
    try:
        importlib.import_module(name)
    except BaseException as error:
        sys.exit(f"{name}: {type(error).__name__}: {error}")
for name in sys.argv[2].split(","):
    try:
        print(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        print(name, "nothing")
"""


def examine(machine: Hardware) -> Iterator[Result]:
    """Its scripts and checkout, and, where these and its interpreter are there, its environment and imports."""
    assert machine.mindspeed_llm is not None
    release = releases.of(machine.mindspeed_llm)
    placed = checkout(machine, release)
    yield placed
    if placed.state != "fail":
        yield from imports(machine, release)


def checkout(machine: Hardware, release: Release) -> Result:
    """The scripts, at a tag or branch whose options this project knows, and the interpreter."""
    name = f"MindSpeed-LLM on {machine.name}"
    directory, python = (Path(machine.mindspeed_llm[key]) for key in ("directory", "python"))  # type: ignore[index]
    absent = [script for script in release.scripts if not (directory / script).is_file()]
    if absent:
        return fail(name, f"no {', '.join(absent)} in {directory}", release.install)
    places = [
        _git(directory, *words)
        for words in (("describe", "--tags", "--exact-match"), ("branch", "--show-current"))
    ]
    named = [place for place in places if place]
    if named and not set(named) & set(release.checkouts):
        cure = f"git -C {directory} checkout {release.checkouts[0]}: options of other versions are not known here, and "
        return fail(
            name,
            f"{directory} is at {named[0]}",
            f"{cure}the scripts and models for MindSpore change between them",
        )
    if not python.is_file():
        return fail(name, f"no interpreter {python}", f"set hardware.{machine.name}.mindspeed_llm.python")
    return good(name, f"{release.title}, {named[0] if named else 'no git checkout'}; {release.support}")


def imports(machine: Hardware, release: Release) -> Iterator[Result]:
    """What the ranks import, and the versions of what they were pinned to, under the sourced environment."""
    name, python = f"ranks on {machine.name}", machine.mindspeed_llm["python"]  # type: ignore[index]
    try:
        sourced = environment.prepared(machine.set_env, environment.variables(machine), python)
    except Problem as problem:
        yield fail(name, f"{problem.what}: {problem.where}", problem.fix or "")
        return
    if ATB in sourced:
        yield good(f"nnal/atb on {machine.name}", sourced[ATB])
    else:
        cure = f"install CANN's nnal package and let set_env name {release.set_env}"
        yield fail(f"nnal/atb on {machine.name}", f"{ATB} is not set after set_env", cure)
    packages = [*release.packages, *release.present]
    answer = _asked([python, "-c", IMPORT, ",".join(release.imports), ",".join(packages)], sourced, machine)
    if answer.returncode:
        lines = (answer.stderr or answer.stdout).strip().splitlines() or ["no answer"]
        yield fail(name, lines[-1][:200], _importable(lines[-1], machine, release))
        return
    found = dict(line.split() for line in answer.stdout.splitlines() if len(line.split()) == 2)
    lacks = [one for one in packages if found.get(one, "nothing") == "nothing"]
    other = [
        f"{one} {found[one]}, {release.title} pins {wanted}"
        for one, wanted in release.packages.items()
        if one not in lacks and releases.plain(found[one]) != releases.plain(wanted)
    ]
    if lacks or other:
        pins = " ".join(
            f"{one}=={release.packages[one]}" if one in release.packages else one for one in packages
        )
        missing = [f"no {one}" for one in lacks]
        yield fail(name, "; ".join([*missing, *other]), f"{python} -m pip install {pins}")
        return
    yield good(
        name, f"{', '.join(release.imports)} import; {', '.join(f'{one} {found[one]}' for one in packages)}"
    )


def _importable(fault: str, machine: Hardware, release: Release) -> str:
    """What makes a module importable: what is absent is where the release puts it, what breaks lacks its environment."""
    module = fault.partition(":")[0]
    absent = fault.startswith(f"{module}: ModuleNotFoundError")
    if absent and module in {**release.packages, **dict.fromkeys(release.present)}:
        pin = f"{module}=={release.packages[module]}" if module in release.packages else module
        return f"{machine.mindspeed_llm['python']} -m pip install {pin}"  # type: ignore[index]
    named = f"hardware.{machine.name}.set_env must name {release.set_env}"
    if absent and release.framework == "pytorch":
        return f"{release.install}: {release.modules}"
    return f"{named}, {release.modules}" if absent else named


def _git(directory: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *words], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _asked(
    line: list[str], sourced: Mapping[str, str], machine: Hardware
) -> subprocess.CompletedProcess[str]:
    directory = machine.mindspeed_llm["directory"]  # type: ignore[index]
    try:
        return subprocess.run(
            line,
            env=dict(sourced),
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(line, 1, "", str(error))
