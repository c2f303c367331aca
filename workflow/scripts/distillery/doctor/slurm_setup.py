"""Slurm as the launcher needs it: NPUs known as a generic resource, with their device files, so that a job learns its own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from distillery.doctor import Result, fail, good, text_of
from distillery.hardware import Hardware

GRES_CONF = Path("/etc/slurm/gres.conf")
# what both files need for eight NPUs a node: with File= Slurm tells a job their numbers (IDX), without it only how many
LINES = "slurm.conf: GresTypes=npu and Gres=npu:910b:8 of each node; gres.conf: Name=npu Type=910b File=/dev/davinci[0-7]"


def examine(machine: Hardware, conf: Path = GRES_CONF) -> Iterator[Result]:
    """GresTypes, a node that offers what `gres` names, and File= in gres.conf; nothing where there is no Slurm."""
    if not shutil.which("scontrol"):
        return
    wanted = (machine.gres or "npu").split(":")
    types = re.search(r"^GresTypes\s*=\s*(\S+)", text_of(["scontrol", "show", "config"]), re.MULTILINE)
    name = f"Slurm's GresTypes for {machine.name}"
    if types is None or wanted[0] not in types[1].split(","):
        yield fail(name, types[1] if types else "none", LINES)
        return
    yield good(name, types[1])
    name = f"Slurm's nodes for {machine.name}"
    nodes = text_of(["scontrol", "show", "node", "--oneliner"]).splitlines()
    fitting = [line for line in nodes if _offered(line, wanted) >= machine.npus_per_node]
    if len(fitting) < machine.nodes:
        cure = f"{LINES}; or correct hardware.{machine.name}.gres, nodes or npus_per_node"
        yield fail(name, f"{len(fitting)} offer {':'.join(wanted)}:{machine.npus_per_node}", cure)
        return
    yield good(name, f"{len(fitting)} offer {':'.join(wanted)}:{machine.npus_per_node}")
    if conf.is_file():
        text = conf.read_text(encoding="utf-8", errors="replace")
        lines = [line for line in text.splitlines() if re.search(rf"\bName={wanted[0]}\b", line)]
        name = f"{conf} for {machine.name}"
        if any("File=" in line for line in lines):
            yield good(name, lines[0].strip())
        else:
            yield fail(name, lines[0].strip() if lines else f"no Name={wanted[0]}", LINES)


def _offered(line: str, wanted: list[str]) -> int:
    """How many of a resource a node of `scontrol show node --oneliner` offers: `Gres=npu:910b:8(S:0-1)` has eight."""
    found = re.search(r"\bGres=(\S+)", line)
    count = 0
    for one in found[1].split(",") if found else []:
        parts = re.sub(r"\(.*?\)", "", one).split(":")
        if parts[: len(wanted)] == wanted and parts[-1].isdecimal():
            count += int(parts[-1])
    return count
