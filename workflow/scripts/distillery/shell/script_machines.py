"""The machine that launch lines speak of: devices, nodes, addresses, and the environment around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from distillery import schema
from distillery.shell.programs import Flag, Program
from distillery.shell.shell_commands import Script
from distillery.shell.shell_words import Place
from distillery.shell.stage_values import Misread, Value, read

# msrun counts workers in all and on this node, torchrun nodes and processes on each
PER_NODE = ("local_worker_num", "nproc_per_node")
ADDRESSES = ("node_rank", "master_addr", "master_port")
LAUNCHING = ("cluster_time_out", "bind_core")
UNSAID = {"msrun": 8, "torchrun": 1}  # processes on a node where the launcher is told nothing
# what our launcher decides itself: it waits for its workers, and keeps their logs
DECIDED = ("join", "log_dir", "worker_num", "nnodes", "tail_worker_log", "standalone")


def devices(program: Program) -> tuple[Value | None, Misread | None]:
    """Processes on each node, which is devices; one without a launcher."""
    if program.launcher == "python":
        return Value(1, program.place, "no launcher", stated=False), None
    flag = next((program.options[name] for name in PER_NODE if name in program.options), None)
    if flag is None:
        count = UNSAID[program.launcher]
        return Value(
            count, program.place, f"no --{PER_NODE[program.launcher == 'torchrun']}", stated=False
        ), None
    return _read(flag, "npus_per_node")


def nodes(program: Program) -> tuple[Value | None, Misread | None]:
    """Nodes: as torchrun counts them, or all of msrun's workers by those of a node."""
    if flag := program.options.get("nnodes"):
        return _read(flag, "nodes")
    flag, each = program.options.get("worker_num"), devices(program)[0]
    if flag is None or each is None or not each.value:
        return None, None
    whole, fault = _read(flag, "npus_per_node")
    if whole is None:
        return None, fault
    count = max(1, whole.value // each.value)
    return Value(count, whole.place, f"{whole.words}, {each.value} a node"), None


def values(programs: Sequence[Program]) -> tuple[dict[str, Value], list[Misread]]:
    """Keys below `hardware.NAME` that the first program with a launcher says; the trainer comes first."""
    found: dict[str, Value] = {}
    faults: list[Misread] = []
    for program in programs:
        if program.launcher == "python":
            continue
        for key, flag in _options(program):
            value, fault = _read(flag, key)
            if fault and fault not in faults:
                faults.append(fault)
            if value:
                found.setdefault(key, value)
        count, fault = nodes(program)
        if count:
            found.setdefault("nodes", count)
        if fault and fault not in faults:
            faults.append(fault)
    return found, faults


def environment(scripts: Sequence[Script]) -> dict[str, Value]:
    """Exported variables whose values are known; the first script that exports one decides."""
    found: dict[str, Value] = {}
    for script in scripts:
        for name, value in script.exports.items():
            if value.known and value.text:
                found.setdefault(name, Value(value.text, value.place, f"{name}={value.text}"))
    return found


def sourced(scripts: Sequence[Script]) -> dict[str, Place]:
    """Scripts that are sourced, each once."""
    found: dict[str, Place] = {}
    for script in scripts:
        for path in script.sourced:
            if path.known and path.text.startswith("/"):
                found.setdefault(path.text, path.place)
    return found


def _options(program: Program) -> Iterator[tuple[str, Flag]]:
    for name in ADDRESSES:
        if name in program.options:
            yield name, program.options[name]
    for name in LAUNCHING:
        if name in program.options:
            yield f"msrun.{name}", program.options[name]


def _read(flag: Flag, key: str) -> tuple[Value | None, Misread | None]:
    try:
        return Value(read(_node(key), flag), flag.place, str(flag)), None
    except ValueError as error:
        return None, Misread(flag, f"hardware.{key}", str(error))


def _node(key: str) -> Mapping[str, object]:
    found = schema.schema()["$defs"]["hardware"]
    for name in key.split("."):
        found = schema.resolve(schema.resolve(found)["properties"][name])
    return found
