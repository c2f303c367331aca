"""Whether the bytes are still those that were written: sha256 of a manifest, CRC-32 of records and tensors.

Each question is a `Check`, so that a conversion can ask them beside its copying, before anything is renamed.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Container
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery import checksums, digests, late_files
from distillery.checkpoint_names import DONE, iteration_name
from distillery.convert import shards
from distillery.convert.mcore import payload_digest
from distillery.convert.weight_sources import Source
from distillery.digests import MANIFEST
from distillery.files import sha256
from distillery.problems import Problem


@dataclass(frozen=True)
class Span:
    """Bytes of a file, their CRC-32 as it was recorded, and what they are."""

    path: Path
    offset: int
    bytes: int
    crc: int
    name: str

    def __call__(self, seen: checksums.Seen | None = None) -> None:
        """Compare, without reading what was `seen`.

        Raises:
            Problem: the bytes changed.
        """
        found = seen.crc(self.path, self.offset, self.bytes) if seen else None
        if found is None:
            found = checksums.of_file(self.path, self.offset, self.bytes)
        if found != self.crc:
            raise Problem(
                "bytes changed since the file was written",
                where=f"{self.path}, {self.name}",
                found=f"CRC-32 {found:08x}",
                wanted=f"CRC-32 {self.crc:08x}",
                fix=digests.again(self.path),
            )


@dataclass(frozen=True)
class Checks:
    """Calls that return nothing or raise Problem, in any order and thread, and the line to say when all did.

    Attributes:
        spans: what whoever reads all weights has seen most of.
        whole: all others.
    """

    whole: list[Callable[[], None]]
    spans: list[Span]
    line: str

    @property
    def calls(self) -> list[Callable[[], None]]:
        return [*self.whole, *self.spans]

    def run(self) -> str:
        """Make all calls in parallel; returns the line."""
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for _ in pool.map(lambda call: call(), self.calls):
                pass
        return self.line


NOTHING = Checks([], [], "")


def of_manifest(directory: Path) -> Checks:
    """Compare a Hugging Face directory with its manifest.json.

    Raises (the calls, too):
        Problem: a file has another size, sha256 or tensor CRC-32 than the manifest lists, or is missing.
    """
    path = directory / MANIFEST
    if not late_files.there(path):
        line = f"no {MANIFEST} to compare with: sizes and names were checked, the bytes could not be"
        return Checks([], [], line)
    faults, checks = of_listed(directory)
    if faults:
        raise faults[0]
    return checks


def of_listed(directory: Path) -> tuple[list[Problem], Checks]:
    """(files that are missing or of another size than manifest.json lists, what is to be asked of the others)."""
    content = digests.read_json(directory / MANIFEST)
    listed: list[dict[str, Any]] = content.get("files", [])
    faults: list[Problem] = []
    whole = []
    for entry in listed:
        file = directory / entry["name"]
        size = file.stat().st_size if file.is_file() else None
        if size is not None and size == entry.get("bytes", size):
            whole.append(entry)
            continue
        faults.append(
            Problem(
                "a file has another size than the manifest lists",
                where=file,
                found="no such file" if size is None else f"{size} bytes",
                wanted=f"{entry.get('bytes')} bytes",
                fix=digests.again(file),
            )
        )
    tensors, headers = content.get("tensors", {}), content.get("headers", {})
    stored = shards.read(directory) if tensors and not faults else {}
    spans = [
        Span(stored[n].path, stored[n].offset, stored[n].bytes, int(crc, 16), n)
        for n, crc in tensors.items()
        if n in stored
    ]
    begins: dict[str, int] = {}  # of files all of whose bytes have a CRC-32
    for name, one in stored.items():
        file = one.path.name
        if file in headers:
            begins[file] = min(begins.get(file, one.offset), one.offset if name in tensors else 0)
    begins = {file: begin for file, begin in begins.items() if begin}
    spans += [Span(directory / n, 0, begin, int(headers[n], 16), "its header") for n, begin in begins.items()]
    hashed = [e for e in whole if e.get("sha256") and e["name"] not in begins]
    calls = [functools.partial(_check_sha256, directory, e["name"], e["sha256"]) for e in hashed]
    line = f"{len(hashed)} files agree with {MANIFEST} by sha256, {len(tensors)} tensors by CRC-32"
    return faults, Checks(calls, spans, line)


def of_source(directory: Path, source: Source, files: Container[Path] | None = None) -> Checks:
    """What lies in a directory against what was written: by its manifest, or by its container and its record.

    The record is `payload_digest` of manifest.json or done.json: whole and sound rank files of another run differ from it.

    Args:
        files: rank files whose bytes are read; default: all.

    Raises (or a call does):
        Problem: names file and tensor, what was found and what was wanted.
    """
    if source.grid is None:
        return of_manifest(directory)
    _check_payload(directory, source)
    return of_storages(source, files)


def of_storages(source: Source, files: Container[Path] | None = None) -> Checks:
    """Compare records of an MCore checkpoint's weights with the CRC-32 that its container holds.

    Args:
        files: rank files whose bytes are read; default: all.

    The calls raise:
        Problem: names the file and record that changed since it was written.
    """
    spans = [
        Span(path, offset, size, crc, f"bytes {offset} to {offset + size}")
        for path, storages in (source.storages or {}).items()
        for offset, size, crc in storages
        if files is None or path in files
    ]
    return Checks([], spans, f"{len(spans)} records agree with their CRC-32")


def _check_payload(directory: Path, source: Source) -> None:
    held = {path.parent.parent.name for path in source.storages or {}}
    for name in (DONE, MANIFEST):
        record = digests.read_json(directory / name) if late_files.there(directory / name) else {}
        wanted = record.get("payload_digest")
        if "iteration" in record and held.isdisjoint({iteration_name(record["iteration"]), "release"}):
            continue  # of what a trainer began with that saves where it loaded from
        if wanted and wanted != payload_digest(source.entries):
            raise Problem(
                "the weights are not those that were recorded here",
                where=f"{directory}, {name}, payload_digest",
                found=f"{payload_digest(source.entries)} of the rank files",
                wanted=wanted,
                fix=f"rank files of another run lie here; {digests.again(directory / name)}",
            )


def _check_sha256(directory: Path, name: str, wanted: str) -> None:
    path = directory / name
    digests.compare(path, sha256(path), wanted, directory / MANIFEST, path)
