"""What a plan needs against what this machine has, and against what Snakemake may give its jobs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import psutil

from distillery.experiment import Config
from distillery.launch import devices, prefix
from distillery.planning import estimate, finding, plan_step
from distillery.planning.experiment_setup import Setup, gather
from distillery.planning.finding import Finding, error, warning
from distillery.planning.memory import GIB

DISK = "disk"


def run(config: Config, directory: Path, *, local: bool) -> list[Finding]:
    """Findings about disk and, where jobs run on this very machine (`local`), memory and devices.

    Asked only where jobs are about to start.
    """
    found: list[Finding] = []
    setups = [gather(config, name) for name in config.experiments]
    found += disk(setups, shutil.disk_usage(directory).free, directory)
    if local:
        for setup in setups:
            own = [*memory(setup, psutil.virtual_memory().total), *npus(setup, os.environ)]
            found += finding.accept(own, setup.experiment.accept)
    return finding.sort(dict.fromkeys(found))


def granted(config: Config, npus: int) -> list[Finding]:
    """Jobs that want more devices than Snakemake's `--resources npu=` allows: it would cut their request silently.

    Args:
        npus: devices that all jobs together may have.
    """
    found = []
    for name, one in config.experiments.items():
        hardware = f"hardware.{one.hardware.name}"
        for stage in ("train", "generate"):
            wanted = prefix.resources(one, stage)["npu"]
            if wanted > npus:
                lack = error(
                    "npu-limit",
                    [f"experiments.{name} ({stage})", f"{hardware}.npus_per_node", f"{hardware}.nodes"],
                    f"{wanted} devices, more than --resources npu={npus} allows",
                    f"npu={wanted}",
                    "raise --resources npu=, or lower npus_per_node or nodes",
                )
                found.append(replace(lack, experiments=(name,)))
    return finding.merge(found)


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
