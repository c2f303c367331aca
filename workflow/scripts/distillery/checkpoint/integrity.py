"""Whether the bytes are still those that were written: sha256 of a manifest, CRC-32 of records and tensors."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from distillery import files
from distillery.checkpoint import shards
from distillery.checkpoint.copying import crc32
from distillery.checkpoint.gather import SCRATCH
from distillery.checkpoint.mcore import MANIFEST
from distillery.checkpoint.sources import Source
from distillery.problems import Problem

Span = tuple[Path, int, int, int, str]  # (file, offset, bytes, CRC-32, name of what lies there)


def check_manifest(directory: Path) -> str:
    """Compare a Hugging Face directory with its manifest.json; returns one line that says what was compared.

    Raises:
        Problem: a file has another size, sha256 or tensor CRC-32 than the manifest lists, or is missing.
    """
    path = directory / MANIFEST
    if not path.is_file():
        return (
            f"no {MANIFEST} in {directory}: sizes and names were checked, the bytes themselves could not be"
        )
    content = files.read_json(path)
    listed: list[dict[str, Any]] = content.get("files", [])
    for entry in listed:
        file = directory / entry["name"]
        size = file.stat().st_size if file.is_file() else None
        if size != entry.get("bytes", size) or size is None:
            raise Problem(
                "a file has another size than the manifest lists",
                where=file,
                found="no such file" if size is None else f"{size} bytes",
                wanted=f"{entry.get('bytes')} bytes",
                fix=shards.REFETCH,
            )
    hashed = [entry for entry in listed if entry.get("sha256")]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        found = pool.map(lambda entry: files.sha256(directory / entry["name"]), hashed)
        for entry, digest in zip(hashed, found, strict=True):
            if digest != entry["sha256"]:
                raise Problem(
                    "a file's bytes are not those that the manifest lists",
                    where=directory / entry["name"],
                    found=f"sha256 {digest}",
                    wanted=f"sha256 {entry['sha256']}",
                    fix=shards.REFETCH,
                )
    tensors = content.get("tensors", {})
    if tensors:
        stored = shards.read(directory)
        check_spans(
            (place.path, place.offset, place.bytes, int(tensors[name], 16), name)
            for name, place in stored.items()
            if name in tensors
        )
    return f"{len(hashed)} files agree with {MANIFEST} by sha256, {len(tensors)} tensors by CRC-32"


def check_storages(source: Source) -> str:
    """Compare every record of an MCore checkpoint's rank files with the CRC-32 that the container holds.

    Raises:
        Problem: names the file and record that changed since it was written.
    """
    spans = [
        (path, offset, size, crc, f"bytes {offset} to {offset + size}")
        for path, storages in (source.storages or {}).items()
        for offset, size, crc in storages
    ]
    check_spans(spans)
    return f"{len(spans)} records agree with their CRC-32"


def check_spans(spans: Iterable[Span]) -> None:
    """Compare spans of files with their CRC-32, in parallel."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for span, crc in pool.map(_crc, spans):
            path, _, _, wanted, name = span
            if crc != wanted:
                raise Problem(
                    "bytes changed since the file was written",
                    where=f"{path}, {name}",
                    found=f"CRC-32 {crc:08x}",
                    wanted=f"CRC-32 {wanted:08x}",
                    fix="copy or convert the file again",
                )


def _crc(span: Span) -> tuple[Span, int]:
    path, offset, size, _, _ = span
    crc, buffer = 0, bytearray(min(size, SCRATCH))
    fd = os.open(path, os.O_RDONLY)
    try:
        while size:
            view = memoryview(buffer)[: min(size, SCRATCH)]
            done = os.preadv(fd, [view], offset)
            if not done:
                break
            crc = crc32(view[:done], crc)
            offset, size = offset + done, size - done
    finally:
        os.close(fd)
    return span, crc
