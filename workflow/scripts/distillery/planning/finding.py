"""One thing that a plan found wrong or doubtful, and the line it is printed as."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from distillery.planning.catalogue import MEANINGS

Severity = Literal["error", "warning", "accepted"]
ORDER = ("error", "warning", "accepted")


@dataclass(frozen=True)
class Finding:
    """A contradiction between configuration keys, or between a key and a fact.

    Attributes:
        id: names the check, one of the catalogue; `accept` lists such names.
        keys: dotted paths into the configuration, all of those involved.
        found, expected: the values as they are, and as they would be right.
        fix: the edit that cures it.
        severity: errors stop; warnings inform; accepted warnings are named in `accept`.
        experiments: whose it is. Two experiments that share a line share a finding.
    """

    id: str
    keys: tuple[str, ...]
    found: str
    expected: str
    fix: str
    severity: Severity = "error"
    experiments: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        assert self.id in MEANINGS, f"{self.id} is not in the catalogue"

    def __str__(self) -> str:
        """`error[ID] key, key: found, expected; fix`, one line."""
        return f"{self.severity}[{self.id}] {', '.join(self.keys)}: {self.found}, expected {self.expected}; {self.fix}"


def sort(findings: Iterable[Finding]) -> list[Finding]:
    """Errors before warnings before accepted ones; otherwise in the order they were found."""
    return sorted(findings, key=lambda finding: ORDER.index(finding.severity))


def merge(findings: Iterable[Finding]) -> list[Finding]:
    """Sorted, and a line that several experiments share once, with the names of all of them."""
    shared: dict[Finding, tuple[str, ...]] = {}
    for one in findings:
        shared[one] = tuple(dict.fromkeys((*shared.get(one, ()), *one.experiments)))
    return sort(replace(one, experiments=names) for one, names in shared.items())


def accept(findings: Iterable[Finding], ids: Iterable[str]) -> list[Finding]:
    """Warnings with one of these ids marked as accepted; errors stay errors."""
    wanted = set(ids)
    return [
        replace(one, severity="accepted") if one.severity == "warning" and one.id in wanted else one
        for one in findings
    ]
