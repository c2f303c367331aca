"""What a plan needs against what this machine has, and against what Snakemake may give its jobs.

Sources that lie here must be there, old results or not. Snakemake does not ask: where what a source became is still
below resources/, it takes that and says nothing.
"""

from __future__ import annotations

import glob
import os
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from distillery import source_files, teachers
from distillery.experiment import Config, Experiment, Source
from distillery.launch import devices, prefix
from distillery.planning import estimate, finding, plan_step
from distillery.planning.experiment_setup import Setup, gather
from distillery.planning.finding import Finding, error, warning
from distillery.planning.memory import GIB
from distillery.servers import Server

DISK = "disk"
CONNECT_SECONDS = 2.0


def run(config: Config, directory: Path, *, local: bool) -> list[Finding]:
    """Findings about disk and, where jobs run on this very machine (`local`), memory and devices.

    Asked only where jobs are about to start.
    """
    setups = [gather(config, name) for name in config.experiments]
    lack = list(disk(setups, shutil.disk_usage(directory).free, directory))
    total = psutil.virtual_memory().total
    return finding.collect(
        (
            s.experiment.name,
            s.experiment.accept,
            [
                *lack,
                *servers(s),
                *(memory(s, total) if local else ()),
                *(npus(s, os.environ) if local else ()),
            ],
        )
        for s in setups
    )


def servers_of(s: Setup) -> list[Server]:
    """The servers that an experiment's problems, or its datasets' teachers, are asked of, each once."""
    found = [s.experiment.tuned_generation.server]
    found += [one.teacher.server for one in (s, *s.others) if one.teacher]
    return list({one.name: one for one in found if one}.values())


def servers(s: Setup) -> Iterator[Finding]:
    """A server that runs already takes connections now; it may be started until answers are asked for."""
    for server in servers_of(s):
        if not server.url:
            continue
        address = urlsplit(server.url)
        port = address.port or (443 if address.scheme == "https" else 80)
        try:
            socket.create_connection((address.hostname, port), CONNECT_SECONDS).close()
        except OSError as problem:
            yield warning(
                "server-away",
                [f"servers.{server.name}.url"],
                f"{address.hostname}, port {port}, takes no connection: {problem.strerror or problem}",
                "a server that runs when the answers are asked for",
                "start it with the export before",
            )


def granted(config: Config, npus: int) -> list[Finding]:
    """Jobs that want more devices than Snakemake's `--resources npu=` allows: it would cut their request silently.

    Args:
        npus: devices that all jobs together may have.
    """
    return finding.collect((e.name, e.accept, _beyond(e, npus)) for e in config.experiments.values())


def _beyond(e: Experiment, npus: int) -> Iterator[Finding]:
    hardware = f"hardware.{e.hardware.name}"
    for stage in ("train", "generate"):
        wanted = prefix.resources(e, stage)["npu"]
        if wanted > npus:
            yield error(
                "npu-limit",
                [f"experiments.{e.name} ({stage})", f"{hardware}.npus_per_node", f"{hardware}.nodes"],
                f"{wanted} devices, more than --resources npu={npus} allows",
                f"npu={wanted}",
                "raise --resources npu=, or lower npus_per_node or nodes",
            )


def disk(setups: list[Setup], free: float, directory: Path) -> Iterator[Finding]:
    """Everything that will be written, less what is there already, has room."""
    found = plan_step.disk((step for one in setups for step in estimate.of(one).steps), directory)
    if found.missing > free:
        keys = tuple(one.key("train.save_interval") for one in setups)
        yield error(
            DISK,
            keys,
            f"about {found.end / 1e9:.1f} GB, of which {found.missing / 1e9:.1f} are still to be written, for"
            f" {free / 1e9:.1f} GB free",
            "room for what is missing",
            "free space, or run in a directory with more (--directory)",
        )


def memory(s: Setup, total: float) -> Iterator[Finding]:
    """The largest job fits this machine's memory, or the node's where the configuration says it."""
    machine = s.experiment.hardware
    limit = machine.host_memory_gib * GIB if machine.host_memory_gib else total
    for step in estimate.of(s).steps:
        used = step.host_bytes
        if used and used > limit:
            # what Megatron's ranks take is assumed, not measured
            yield (warning if step.devices and machine.device == "Ascend" else error)(
                "host-memory",
                [s.key("model"), s.hardware_key],
                f"{step.name} takes about {used / GIB:.1f} GiB, this machine has {limit / GIB:.1f}",
                "enough memory",
                "use a machine with more, or smaller batches and sequences",
            )


def npus(s: Setup, environment: Mapping[str, str]) -> Iterator[Finding]:
    """No stage asks for more devices than are visible."""
    machine = s.experiment.hardware
    if machine.device != "Ascend":
        return
    for name, _ in s.stages():
        wanted = prefix.workers(s.experiment, name)
        seen = devices.visible(environment, wanted)
        if len(seen) < wanted:
            yield error(
                "visible-npus",
                [s.devices_key(name)],
                f"{wanted} for {name}, {len(seen)} visible",
                f"at most {len(seen)}",
                "lower it, or look at ASCEND_RT_VISIBLE_DEVICES and npu-smi",
            )


def absent(config: Config, experiment: Experiment) -> Iterator[Finding]:
    """Each folder, file or lock that a source of the experiment names and that is not there."""
    for key, source, missing in _named(config, experiment):
        if missing:
            cure = "make lock writes it" if key.endswith(".lock") else "correct it, or bring the files back"
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            found, first = f"no {missing[0]}{more}", Path(missing[0])
            if first.is_file():
                found, cure = f"{first} is a file", f"name its folder, {first.parent}, or another"
            elif first.is_dir():
                found = f"{first} is a folder{more}"
            yield error(
                "absent-source",
                [key],
                found,
                "a source that is there: what earlier runs made of it is not used instead",
                f"{cure} ({source.kind})",
            )


def _named(config: Config, experiment: Experiment) -> Iterator[tuple[str, Source, list[str]]]:
    """(key, source, what is not there) of each source with a place on this machine."""
    start = experiment.tokenize.model  # of the first stage, where there are several
    model = config.models[start]
    datasets = [part.dataset for part in experiment.parts]
    if model.kind == "random":  # its tokenizer is trained on one, perhaps on another
        datasets = list(dict.fromkeys([*datasets, model.settings["tokenizer"]["dataset"]]))
    yield from _of_source(f"models.{start}", model, ("config.json", "*.safetensors"))
    for name in datasets:
        source = config.datasets[name].source
        shards = tuple(config.datasets[name].paths.values()) if source.kind == "path" else ()
        yield from _of_source(f"datasets.{name}.source", source, shards)
    taught = [config.datasets[name].source for name in datasets]
    questions = [source.settings["problems"] for source in taught if source.kind == teachers.KIND]
    for name in dict.fromkeys([*experiment.asked, *questions]):
        source = config.problem_sets[name].source
        files = source_files.written(source.settings["files"]) if source.kind == "path" else []
        yield from _of_source(f"problem_sets.{name}", source, files)


def _of_source(key: str, source: Source, files: Sequence[str]) -> Iterator[tuple[str, Source, list[str]]]:
    if source.kind == "path":
        folder = Path(source.settings["path"])
        gone = [str(folder / name) for name in files if not _is_there(folder, name)]
        yield f"{key}.path.path", source, gone if folder.is_dir() else [str(folder)]
    if lock := source.settings.get("lock"):
        yield f"{key}.{source.kind}.lock", source, [] if Path(lock).is_file() else [lock]


def _is_there(folder: Path, name: str) -> bool:
    found = glob.iglob(name, root_dir=folder, recursive=True)
    return (folder / name).is_file() or any((folder / one).is_file() for one in found)
