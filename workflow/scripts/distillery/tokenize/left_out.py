"""Rows that a selection leaves out of a dataset: select_rows.py writes them, whoever goes through the dataset's files passes them over.

The first line says of which files, {"inputs": {name: sha256}}, each further one which row: {"file": name, "row": number from 0, ...}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery import digests, files, json_files
from distillery.problems import Problem
from distillery.provenance import canonical


@dataclass(frozen=True)
class LeftOut:
    """What a file of such rows says, and its own digest."""

    path: Path
    sha256: str
    inputs: Mapping[str, str]
    rows: Mapping[str, frozenset[int]]

    def of(self, file: str) -> frozenset[int]:
        """Numbers of the rows of a file."""
        return self.rows.get(file, frozenset())

    def check(self, name: str, sha256: str) -> None:
        """The file is one that rows were chosen from.

        Raises:
            Problem: it is not, so that nothing is known of its rows.
        """
        if self.inputs.get(name) != sha256:
            raise Problem(
                "rows were chosen from other files than this one",
                where=f"{self.path}, {name}",
                found=f"sha256 {sha256}",
                wanted=self.inputs.get(name) or f"one of {', '.join(sorted(self.inputs))}",
                fix="run select_rows.py on the files as they are now",
            )


def read(path: Path) -> LeftOut:
    """Read such a file, held against its digest.

    Raises:
        Problem: it is not as it was written, or no such file.
    """
    first, *others = digests.json_lines(path) or [json_files.Record().at(path)]
    inputs = first.typed("inputs", dict)
    rows: dict[str, set[int]] = {}
    for one in others:
        rows.setdefault(one.typed("file", str), set()).add(one.typed("row", int, least=0))
    found = {file: frozenset(numbers) for file, numbers in rows.items()}
    return LeftOut(path, files.sha256(path), inputs, found)


def write(path: Path, inputs: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write such a file, and its digest beside it.

    Args:
        inputs: sha256 of each file, by its name.
        rows: `file`, `row` and whatever else is known of each.
    """
    lines = ({"inputs": dict(inputs)}, *rows)
    digests.write_lines(path, (f"{canonical(one)}\n".encode() for one in lines))
