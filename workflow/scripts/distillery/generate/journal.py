"""The answers file: whole or absent, and continued after a kill.

While a run lasts, its answers are appended, in the order they end, to `.NAME.journal` beside the target.
The journal's first line holds the digest of all that decides the answers; a run whose digest differs
starts anew, one that agrees takes over the lines up to the first that is not whole, or not what was written, as the
CRC-32 at its end tells: what a kill tore, a crash of the machine filled with zeros, a disk turned a bit of. At the end the lines are sorted into the order of the prompts, so an interrupted
and resumed run leaves the same file as an undisturbed one. One run at a time holds the journal. Memory holds where each record
lies, not the records: there may be hundreds of thousands.
"""

from __future__ import annotations

import glob
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from distillery import digests, json_files, one_writer
from distillery.checksums import crc32
from distillery.problems import Problem, writing

Key = tuple[str, int]  # prompt id, sample
END = b'{"end": true}\n'  # of another copy's journal
CRC = "crc32"
POLL_SECONDS = 0.1


class Journal:
    """Records of one run, inside a `with`: `taken` has where they begin, also those of an earlier, interrupted one.

    Copies of the model that answer side by side have a journal each; the first copy's is the run's, and takes over the
    others when they end, or at the next start, whatever the number of copies then.
    """

    def __init__(self, target: Path, identity: str, replica: int = 0):
        """Lock the journal beside `target` and read what an interrupted run of the same identity left.

        Args:
            replica: which copy of the model writes it. Another than 0 opens it when the first has: it holds the lock.

        Raises:
            Problem: another run is writing these answers.
        """
        self.target, self.replica = target, replica
        self.taken: dict[Key, int] = {}
        self._end = 0  # bytes of the journal
        self._header = json.dumps({"identity": identity}).encode() + b"\n"
        main = target.with_name(f".{target.name}.journal")
        self.path = self._part(replica) if replica else main
        if replica:
            for record, begin, _ in self._records(main):
                self.taken[key(record)] = begin
            self._stream = self.path.open("wb")
            self._write(self._header)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor, _ = one_writer.opened(self.path, target, os.O_APPEND)
        except BlockingIOError:
            raise Problem(
                "another run is writing these answers",
                where=target,
                fix="wait for it, or give --output another file",
            ) from None
        self._stream = os.fdopen(descriptor, "ab")
        for record, begin, end in self._records(self.path):
            self.taken[key(record)] = begin
            self._end = end
        if self._end == 0:  # of another run, or of one that answered nothing
            self._stream.truncate(0)
            self._write(self._header)
        self._stream.truncate(self._end)
        for part in target.parent.glob(f"{glob.escape(self.path.name)}.*"):
            self._absorb(part)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()

    def add(self, record: dict[str, Any]) -> None:
        """Append one record; it survives the process from here on, and the machine's next sync."""
        self.taken[key(record)] = self._end
        self._write(_sealed(record))

    def end(self) -> None:
        """Say to the first copy's journal that this one is complete."""
        self._write(END)

    def join(self, replicas: int, check: Callable[[], None]) -> list[dict[str, Any]]:
        """Wait for the other copies' journals to be complete, take them over, and return their records.

        Args:
            replicas: copies of the model.
            check: called while there is something to wait for.
        """
        found = []
        for part in map(self._part, range(1, replicas)):
            while not _complete(part):
                check()
                time.sleep(POLL_SECONDS)
            found += self._absorb(part)
        return found

    def finish(self, order: Iterable[Key]) -> None:
        """Write the target with the records in this order, and remove the journal."""
        os.fsync(self._stream.fileno())
        with self.path.open("rb") as stream:

            def lines() -> Iterator[bytes]:
                for each in order:
                    stream.seek(self.taken[each])
                    record = _unsealed(stream.readline())
                    if record is None:
                        raise Problem(
                            "an answer changed after it was written",
                            where=f"{self.path}, byte {self.taken[each]}",
                            fix="run the same command again: answers from there on are given anew; then look at the disk",
                        )
                    yield line(record).encode()

            digests.write_lines(self.target, lines())
        self.path.unlink()

    def _part(self, replica: int) -> Path:
        return self.target.with_name(f".{self.target.name}.journal.{replica}")

    def _absorb(self, part: Path) -> list[dict[str, Any]]:
        """Another copy's records, now in this journal."""
        found = [record for record, *_ in self._records(part) if key(record) not in self.taken]
        for record in found:
            self.add(record)
        os.fsync(self._stream.fileno())
        part.unlink()
        return found

    def _records(self, path: Path) -> Iterator[tuple[dict[str, Any], int, int]]:
        """Whole records of a journal of this identity, with where each begins and ends, up to the first that is not whole."""
        with path.open("rb") as stream:
            if stream.readline() != self._header:
                return
            begin = len(self._header)
            for each in stream:
                record = _unsealed(each)
                if record is None:
                    return
                yield record, begin, begin + len(each)
                begin += len(each)

    def _write(self, data: bytes) -> None:
        with writing(self.path):
            self._stream.write(data)
            self._stream.flush()
        self._end += len(data)


def _complete(part: Path) -> bool:
    """Whether a copy has ended its journal."""
    try:
        with part.open("rb") as stream:
            stream.seek(-len(END), os.SEEK_END)
            return stream.read() == END
    except OSError:  # not there yet, or shorter
        return False


def _sealed(record: dict[str, Any]) -> bytes:
    """A journal's line: the record, and the CRC-32 of its line as the last of its values."""
    return line({**record, CRC: crc32(line(record).encode())}).encode()


def _unsealed(data: bytes) -> dict[str, Any] | None:
    """The record of a journal's line, None where it is not as it was written."""
    try:
        record = json_files.loads(data)
        crc = record.pop(CRC)
    except (ValueError, AttributeError, KeyError, TypeError):
        return None
    return record if data.endswith(b"\n") and crc == crc32(line(record).encode()) else None


def key(record: dict[str, Any]) -> Key:
    """What an answer is known by: its prompt's id, and which sample of it."""
    return record["id"], record["sample"]


def line(record: dict[str, Any]) -> str:
    """One JSON line; keys stay in the order they were given."""
    return json.dumps(record, ensure_ascii=False) + "\n"
