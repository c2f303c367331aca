"""What jobs ask for against what Snakemake was told that it may give; it would cut the request silently."""

from __future__ import annotations

from collections.abc import Iterator

from distillery.experiment import Config
from distillery.launch import prefix
from distillery.planning import finding
from distillery.planning.finding import Finding


def run(config: Config, npus: int) -> list[Finding]:
    """Jobs that want more devices than `--resources npu=` allows.

    Args:
        npus: devices that all jobs together may have.
    """
    return finding.merge(_short(config, npus))


def _short(config: Config, npus: int) -> Iterator[Finding]:
    for one in config.experiments.values():
        machine = one.hardware.name
        for stage in ("train", "generate"):
            wanted = prefix.resources(one, stage)["npu"]
            if wanted > npus:
                yield Finding(
                    "npu-limit",
                    (f"experiments.{one.name} ({stage})", f"hardware.{machine}.npus_per_node", f"hardware.{machine}.nodes"),
                    f"{wanted} devices, more than --resources npu={npus} allows",
                    f"npu={wanted}",
                    "raise --resources npu=, or lower npus_per_node or nodes",
                    experiments=(one.name,),
                )  # fmt: skip
