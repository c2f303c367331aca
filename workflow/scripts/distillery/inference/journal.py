"""The answers file: whole or absent, and continued after a kill.

While a run lasts, its answers are appended, in the order they end, to `.NAME.journal` beside the target.
The journal's first line holds the digest of all that decides the answers; a run whose digest differs
starts anew, one that agrees takes over the whole lines. At the end the lines are sorted into the order
of the prompts, so an interrupted and resumed run leaves the same file as an undisturbed one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from distillery import files

Key = tuple[str, int]  # prompt id, sample


class Journal:
    """Records of one run: `taken` holds those of an earlier, interrupted one."""

    def __init__(self, target: Path, identity: str):
        self.target = target
        self.path = target.with_name(f".{target.name}.journal")
        self.taken: dict[Key, dict[str, Any]] = {}
        header = json.dumps({"identity": identity}) + "\n"
        target.parent.mkdir(parents=True, exist_ok=True)
        whole = self._whole_lines()
        if whole[:1] == [header]:
            self.taken = {key(record): record for record in map(json.loads, whole[1:])}
        else:
            whole = [header]
        # what a kill left of a torn last line is cut off
        self.path.write_text("".join(whole), encoding="utf-8")
        self._stream = self.path.open("a", encoding="utf-8")

    def add(self, record: dict[str, Any]) -> None:
        """Append one record; it survives the process from here on, and the machine's next sync."""
        self.taken[key(record)] = record
        self._stream.write(line(record))
        self._stream.flush()

    def finish(self, order: Iterable[Key]) -> None:
        """Write the target with the records in this order, and remove the journal."""
        os.fsync(self._stream.fileno())
        files.write_text(self.target, "".join(line(self.taken[each]) for each in order))
        self._stream.close()
        self.path.unlink()

    def _whole_lines(self) -> list[str]:
        if not self.path.is_file():
            return []
        lines = self.path.read_bytes().splitlines(keepends=True)
        return [each.decode() for each in lines if each.endswith(b"\n")]


def key(record: dict[str, Any]) -> Key:
    return record["id"], record["sample"]


def line(record: dict[str, Any]) -> str:
    """One JSON line; keys stay in the order they were given."""
    return json.dumps(record, ensure_ascii=False) + "\n"
