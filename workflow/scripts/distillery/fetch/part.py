"""The unfinished part of a file: `.NAME.part`, held by one process, with `.NAME.state` saying what it is of.

A killed run leaves both, so that the next one asks for the missing bytes only; a part begun for another
file (another size or digest) is emptied.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from distillery import files, json_files, one_writer
from distillery.fetch.listing import RemoteFile
from distillery.problems import NO_ROOM, Problem


class Part:
    """Bytes of one wanted file so far.

    Attributes:
        tags: entity tags by address, as they were when its bytes came.
        used: addresses that contributed bytes.
    """

    def __init__(self, wanted: RemoteFile, output: Path, told: Callable[[int], None]) -> None:
        self.wanted, self.output, self._told = wanted, output, told
        self.path, self._state = beside(output)
        self.tags: dict[str, str] = {}
        self.used: list[str] = []
        output.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._descriptor, _ = one_writer.opened(self.path, output, os.O_APPEND | os.O_NOFOLLOW)
        except BlockingIOError:
            raise Problem(
                "another process is fetching this file", where=self.path, fix="wait for it"
            ) from None

    def close(self) -> None:
        os.close(self._descriptor)

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def resume(self) -> None:
        """Keep what an earlier run left of the same file, else begin empty."""
        known = json_files.read(self._state) if self._state.is_file() else {}
        fits = self.wanted.bytes is None or self.size() <= self.wanted.bytes
        if known.get("file") == self._identity() and fits:
            self.tags, self.used = known["tags"], known["used"]
            self._told(self.size())
        else:
            os.ftruncate(self._descriptor, 0)

    def remember(self) -> None:
        """Write the state before bytes are added, so that no bytes are ever without it."""
        files.write_json(self._state, {"file": self._identity(), "tags": self.tags, "used": self.used})

    def discard(self) -> None:
        self._told(-self.size())
        os.ftruncate(self._descriptor, 0)
        self.tags.clear()
        self.used.clear()

    def write(self, chunk: bytes) -> None:
        """Append.

        Raises:
            Problem: the disk, the quota or the file size limit is exhausted; what fitted stays.
        """
        view = memoryview(chunk)
        try:
            while view:
                count = os.write(self._descriptor, view)
                self._told(count)
                view = view[count:]
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise Problem(
                "the disk is full",
                where=self.path,
                found=f"{self.size()} bytes written, then: {os.strerror(error.errno)}",
                wanted=f"{self.wanted.bytes} bytes",
                fix="make room and run the same command again: it continues there",
            ) from None

    def finish(self) -> None:
        """Make it the output: on disk, read-only, under its name."""
        os.fchmod(self._descriptor, 0o444)
        os.fsync(self._descriptor)
        os.replace(self.path, self.output)
        files.remove(self._state)

    def _identity(self) -> dict[str, object]:
        wanted = self.wanted
        return {
            "name": wanted.name,
            "bytes": wanted.bytes,
            "sha256": wanted.sha256,
            "git_sha1": wanted.git_sha1,
        }


@contextmanager
def opened(wanted: RemoteFile, output: Path, told: Callable[[int], None]) -> Iterator[Part]:
    """The part of a file, locked; `told` hears of bytes that come (or, negative, go)."""
    part = Part(wanted, output, told)
    try:
        part.resume()
        yield part
    finally:
        part.close()


def beside(output: Path) -> tuple[Path, Path]:
    """(part, state) of a file."""
    return output.with_name(f".{output.name}.part"), output.with_name(f".{output.name}.state")
