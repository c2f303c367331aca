"""What a launch is asked for, as launch.py's flags and as an object, each made from the other."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from distillery import options, resource_samples, schema
from distillery.problems import UsageProblem
from distillery.ranges import reader, whole

# a launch's folder of its ranks' logs, beside its own log
RANKS = "msrun_"
MSRUN = "hardware.*.msrun"


@dataclass(frozen=True)
class Request:
    """What launch.py's flags say, under the same names; `add_flags` explains them."""

    worker: tuple[str, ...]
    log_dir: Path
    workers: int = 1
    nodes: int = schema.default("hardware.*.nodes")
    npus: int = 0
    node_rank: int = schema.default("hardware.*.node_rank")
    master_addr: str = schema.default("hardware.*.master_addr")
    master_port: int = schema.default("hardware.*.master_port")
    cluster_time_out: int = schema.default(f"{MSRUN}.cluster_time_out")
    bind_core: bool = False
    stall_timeout: float = schema.default(f"{MSRUN}.stall_timeout")
    grace: float = 60
    set_env: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    node_env: Mapping[str, str] = field(default_factory=dict)  # {"NODE:NAME": value}
    python: str = sys.executable
    framework: str = "mindspore"
    version: str | None = None  # of MindSpeed-LLM
    directory: Path = Path()
    metrics: Path | None = None
    samples: Path | None = None
    expect: tuple[Path, ...] = ()
    checkpoints: Path | None = None
    print_only: bool = False


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of a launch."""

    def add(flag: str, help: str, metavar: str = "N", **more: object) -> None:
        parser.add_argument(flag, help=help, metavar=metavar, **more)

    add("--workers", "processes on each node (default 1: without msrun)", type=reader(whole(1)), default=1)
    add("--npus", "devices to take on each node (default 0: none)", type=reader(whole(0)), default=0)
    options.add(parser, "hardware.*", "nodes", "node_rank", "master_addr", "master_port")
    add(
        "--log-dir",
        "for worker_<rank>.log, scheduler.log, msrun.log (default: beside --log, msrun_<its stem>)",
        "FOLDER",
        type=Path,
    )
    options.add(parser, MSRUN, "cluster_time_out", "stall_timeout")
    # a minute by hand, and for answers, which are kept one by one
    options.add(parser, MSRUN, "grace", default=Request.grace)
    add("--set-env", "script to source first (repeatable)", "SCRIPT", action="append", default=[])
    add("--env", "variable for the workers (repeatable)", "NAME=VALUE", action="append", default=[])
    add("--node-env", "on one node only (repeatable)", "NODE:NAME=VALUE", action="append", default=[])
    add(
        "--python",
        "the workers' interpreter, msrun beside it (default: this one)",
        "FILE",
        default=sys.executable,
    )
    add(
        "--framework",
        "what starts the ranks: msrun for mindspore (default), torchrun for pytorch",
        "NAME",
        choices=["mindspore", "pytorch"],
        default="mindspore",
    )
    add("--version", "of MindSpeed-LLM, where its scripts are called (default 2.2.0)", "VERSION")
    add("--directory", "the workers' working directory", "FOLDER", type=Path, default=Path())
    add("--metrics", "append metrics parsed from Megatron's log lines", "FILE", type=Path)
    add("--samples", "resource samples (default: beside --log, .samples.jsonl)", "FILE", type=Path)
    add("--expect", "must be there at the end (repeatable)", "FILE", type=Path, action="append", default=[])
    add(
        "--checkpoints", "end the job if the first checkpoint saved there cannot be read", "FOLDER", type=Path
    )
    switch = {"action": "store_true"}
    parser.add_argument("--bind-core", help="each rank keeps to its own CPU cores", **switch)
    parser.add_argument("--print-only", help="print the lines and do not run them", **switch)


def arguments(words: Sequence[str]) -> list[str]:
    """launch.py's own words, with what a rule's line gives to the worker but means for the launch.

    The worker's `--log` becomes the launch's (its ranks write to --log-dir), and the interpreter that leads its line
    becomes --python.
    """
    if "--" not in words:
        return list(words)
    at = list(words).index("--")
    own, worker = list(words[:at]), list(words[at + 1 :])
    if "--log" in worker[:-1]:
        where = worker.index("--log")
        own += worker[where : where + 2]
        del worker[where : where + 2]
    if worker and Path(worker[0]).name.startswith("python"):
        own += ["--python", worker.pop(0)]
    return [*own, "--", *worker]


def from_args(args: argparse.Namespace, worker: Sequence[str]) -> Request:
    """The parsed flags as a request."""
    env, node_env = _pairs("--env", args.env), _pairs("--node-env", args.node_env)
    if wrong := [name for name in node_env if not all(name.partition(":"))]:
        raise UsageProblem("no node", where="--node-env", found=wrong[0], wanted="NODE:NAME=VALUE")
    if not (args.log_dir or args.log):
        raise UsageProblem("no folder for the ranks' logs", fix="give --log-dir, or --log: they go beside it")
    given = {one.name: getattr(args, one.name) for one in fields(Request) if one.name != "worker"}
    given |= {
        "worker": tuple(worker),
        # two jobs have two logs, hence two folders
        "log_dir": args.log_dir or args.log.with_name(f"{RANKS}{args.log.stem}"),
        "set_env": tuple(args.set_env),
        "expect": tuple(args.expect),
        "env": env,
        "node_env": node_env,
        "samples": args.samples or (args.log and resource_samples.beside(args.log)),
    }
    return Request(**given)


def _pairs(flag: str, given: Sequence[str]) -> dict[str, str]:
    """`["A=1"]` as {"A": "1"}."""
    pairs = [text.partition("=") for text in given]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise UsageProblem("not a variable", where=flag, found=wrong[0], wanted="NAME=VALUE")
    return {name: value for name, _, value in pairs}


def words(request: Request) -> list[str]:
    """launch.py's arguments for a request, all of them spelled out."""
    found: list[str] = []
    for one in fields(Request):
        value, flag = getattr(request, one.name), f"--{one.name.replace('_', '-')}"
        if one.name == "worker" or value is None or value is False:
            continue
        if value is True:
            found.append(flag)
        elif isinstance(value, Mapping):
            found += [word for pair in value.items() for word in (flag, "=".join(pair))]
        elif isinstance(value, tuple):
            found += [word for each in value for word in (flag, str(each))]
        else:
            found += [flag, str(value)]
    return [*found, "--", *request.worker]
