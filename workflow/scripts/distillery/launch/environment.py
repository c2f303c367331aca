"""The environment that workers start in: set_env.sh scripts sourced, variables set, the right python first.

changes = prepared(["/usr/local/Ascend/ascend-toolkit/set_env.sh"], {"HCCL_CONNECT_TIMEOUT": "1800"}, python)
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from distillery import blas_threads
from distillery.hardware import Hardware
from distillery.problems import Problem

# one queue per device, so that kernels start in the order in which overlapped communication expects them
ASCEND = {"CUDA_DEVICE_MAX_CONNECTIONS": "1", "HCCL_CONNECT_TIMEOUT": "1800"}
# lists of folders: a variable of the configuration goes before what CANN's scripts set, and never replaces it
PATHS = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")
DETERMINISTIC = {"HCCL_DETERMINISTIC": "true"}


def variables(hardware: Hardware) -> dict[str, str]:
    """What the workers' environment gets on this hardware; its own settings come last."""
    found = dict(ASCEND) if hardware.device == "Ascend" else {}
    if hardware.deterministic:
        found |= DETERMINISTIC
    return found | {name: str(value) for name, value in hardware.environment.items()}


def of_node(node_env: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """The variables of this node, such as HCCL_IF_IP or GLOO_SOCKET_IFNAME, which differ from node to node.

    Args:
        node_env: {"NODE:NAME": value} of all nodes; empty where nothing differs.
        names: what this node may be called: by its kernel, with and without domain, and by Slurm.

    Raises:
        Problem: there are variables for nodes, but none for this one.
    """
    found = {
        variable: value
        for name, value in node_env.items()
        for node, _, variable in [name.partition(":")]
        if node in names
    }
    if node_env and not found:
        raise Problem(
            "this node has no variables of its own, and others have",
            where="hardware.<name>.node_environment",
            found=f"{', '.join(dict.fromkeys(name.partition(':')[0] for name in node_env))}; this is {names[0]}",
            wanted="an entry for each node, under the name that `hostname` says there",
            fix=f"add {names[0]}, or source a script that asks the node itself (hardware.<name>.set_env)",
        )
    return found


def prepared(set_env: Sequence[str], variables: Mapping[str, str], python: str) -> dict[str, str]:
    """This process's environment after sourcing `set_env`, with `variables`, and python's folder first on PATH.

    msrun starts its workers with whatever `python` comes first on PATH.

    Raises:
        Problem: a script is missing or fails, or the interpreter has no `python` beside it.
    """
    environment = _sourced(set_env) if set_env else blas_threads.environment_as_found()
    for name, value in variables.items():
        former = environment.get(name) if name in PATHS else None
        environment[name] = os.pathsep.join([value, former]) if former else value
    folder = Path(python).absolute().parent
    if not (folder / "python").exists():
        raise Problem(
            "msrun would start another interpreter than the configured one",
            where=folder,
            found="no executable named python",
            wanted=f"python beside {Path(python).name}",
            fix=f"ln -s {Path(python).name} {folder}/python",
        )
    environment["PATH"] = os.pathsep.join([str(folder), environment.get("PATH", os.defpath)])
    # logs are followed while they grow
    environment.setdefault("PYTHONUNBUFFERED", "1")
    return environment


def _words(line: str) -> list[str]:
    """A script and its arguments, split at blanks as a shell does; nothing else in them is a shell's."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise Problem("not a script with arguments", where="set_env", found=f"{line!r}: {error}") from None
    if not words:
        raise Problem("not a script with arguments", where="set_env", found=repr(line))
    return words


def _sourced(set_env: Sequence[str]) -> dict[str, str]:
    for line in set_env:
        script = _words(line)[0]
        if not Path(script).is_file():
            raise Problem(
                "a script to source is not there",
                where=script,
                fix="set hardware.<name>.set_env to the set_env.sh files of this machine's CANN",
            )
    # their messages belong on standard error; only `env -0` may write to the pipe
    lines = [f"source {shlex.join(_words(line))} >&2" for line in set_env]
    shell = ["bash", "-c", "\n".join(["set -e", *lines, "exec 3>&1 >&2; env -0 >&3"])]
    as_found = blas_threads.environment_as_found()
    done = subprocess.run(shell, env=as_found, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise Problem(
            "sourcing the environment failed",
            where=" and ".join(set_env),
            found=f"status {done.returncode}, its message above",
            fix="run `source` on it in a shell of this machine",
        )
    pairs = (entry.split("=", 1) for entry in done.stdout.decode().split("\0") if "=" in entry)
    return dict(pairs)


def pasteable(
    set_env: Sequence[str], variables: Mapping[str, str], python: str, words: Sequence[str], directory: Path
) -> str:
    """Shell lines that do by hand what a launch does."""
    folder = Path(python).absolute().parent
    lines = [f"cd {shlex.quote(str(directory))}"]
    lines += [f"source {shlex.join(_words(line))}" for line in set_env]
    lines += [
        f"export {name}={shlex.quote(value)}" + (f'"${{{name}:+:${name}}}"' if name in PATHS else "")
        for name, value in variables.items()
    ]
    lines += [f'export PATH={shlex.quote(str(folder))}:"$PATH"']
    return "\n".join([*lines, shlex.join(words)]) + "\n"
