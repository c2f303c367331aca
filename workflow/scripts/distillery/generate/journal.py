"""The answers file: whole or absent, and continued after a kill.

While a run lasts, its answers are appended, in the order they end, to `.NAME.journal` beside the target.
The journal's first line holds the digest of all that decides the answers; a run whose digest differs
starts anew, one that agrees takes over the lines up to the first that is not whole: what a kill tore, or a crash
of the machine filled with zeros. At the end the lines are sorted into the order of the prompts, so an interrupted
and resumed run leaves the same file as an undisturbed one. One run at a time holds the journal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from distillery import files, one_writer
from distillery.problems import Problem

Key = tuple[str, int]  # prompt id, sample


class Journal:
    """Records of one run, inside a `with`: `taken` holds those of an earlier, interrupted one."""

    def __init__(self, target: Path, identity: str):
        """Lock the journal beside `target` and read what an interrupted run of the same identity left.

        Raises:
            Problem: another run is writing these answers.
        """
        self.target = target
        self.path = target.with_name(f".{target.name}.journal")
        self.taken: dict[Key, dict[str, Any]] = {}
        header = json.dumps({"identity": identity}).encode() + b"\n"
        target.parent.mkdir(parents=True, exist_ok=True)
        self._stream = self.path.open("ab+")
        try:
            one_writer.hold(self._stream, target)
        except BlockingIOError:
            self._stream.close()
            raise Problem(
                "another run is writing these answers",
                where=target,
                fix="wait for it, or give --output another file",
            ) from None
        self._stream.seek(0)
        if self._stream.readline() == header:
            self._stream.truncate(self._take())
        else:
            self._stream.truncate(0)
            self._write(header)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()

    def add(self, record: dict[str, Any]) -> None:
        """Append one record; it survives the process from here on, and the machine's next sync."""
        self.taken[key(record)] = record
        self._write(line(record).encode())

    def finish(self, order: Iterable[Key]) -> None:
        """Write the target with the records in this order, and remove the journal."""
        os.fsync(self._stream.fileno())
        files.write_text(self.target, "".join(line(self.taken[each]) for each in order))
        self.path.unlink()

    def _take(self) -> int:
        """Read records up to the first line that is none; return where it begins."""
        begin = self._stream.tell()
        for each in self._stream:
            try:
                record = json.loads(each)
            except ValueError:
                break
            if not each.endswith(b"\n"):
                break
            self.taken[key(record)] = record
            begin += len(each)
        return begin

    def _write(self, data: bytes) -> None:
        self._stream.write(data)
        self._stream.flush()


def key(record: dict[str, Any]) -> Key:
    return record["id"], record["sample"]


def line(record: dict[str, Any]) -> str:
    """One JSON line; keys stay in the order they were given."""
    return json.dumps(record, ensure_ascii=False) + "\n"
