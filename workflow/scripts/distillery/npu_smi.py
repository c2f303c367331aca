"""`npu-smi info` as numbers.

Its table is the only view that one call gives of all devices. Two rows a chip: identity, power, temperature;
then bus, AI core, memory. Read from real tables of npu-smi 25.2.0 (910B4) and 26.0.rc2 (two chips a card, with a
Phy-ID column); power is `-` on a card's second chip, whose card reports it once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FIRST = re.compile(
    r"^\|\s*(?P<npu>\d+)\s+(?P<name>\S+)\s*\|\s*(?P<health>\S+)\s*\|\s*(?P<power>[\d.]+|-|NA)\s+(?P<temperature>\d+|-|NA)\s"
)
SECOND = re.compile(
    r"^\|\s*(?P<chip>\d+)(?:\s+(?P<physical>\d+|-))?\s*\|\s*[\w:.]+\s*\|\s*(?P<aicore>\d+|-|NA)\s.*?"
    r"(?P<used>\d+)\s*/\s*(?P<total>\d+)\s*\|\s*$"
)


@dataclass(frozen=True)
class Chip:
    """One chip; power in W, temperature in degrees Celsius, AI core use in percent, HBM in MB as printed."""

    npu: int
    chip: int
    name: str
    health: str
    power: float | None
    temperature: float | None
    aicore: float | None
    hbm_used: int
    hbm_total: int


def parse(text: str) -> list[Chip]:
    """The chips of a table as `npu-smi info` prints it; rows of other shapes (processes, versions) are passed over."""
    chips = []
    first: re.Match[str] | None = None
    for line in text.splitlines():
        if first is not None and (second := SECOND.match(line)):
            chips.append(
                Chip(
                    npu=int(first["npu"]),
                    chip=int(second["chip"]),
                    name=first["name"],
                    health=first["health"],
                    power=_number(first["power"]),
                    temperature=_number(first["temperature"]),
                    aicore=_number(second["aicore"]),
                    hbm_used=int(second["used"]),
                    hbm_total=int(second["total"]),
                )
            )
            first = None
        else:
            first = FIRST.match(line)
    return chips


def _number(text: str) -> float | None:
    return None if text in ("-", "NA") else float(text)
