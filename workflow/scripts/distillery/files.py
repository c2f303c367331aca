"""Files that are either whole or absent: write beside the target, fsync, rename; one writer at a time.

A temporary name (`.NAME.PROCESS.partial`) is its process's own. What a killed run left is removed by the next one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distillery import one_writer


@contextmanager
def atomic(target: Path) -> Iterator[Path]:
    """Yield a temporary path; on success it becomes `target`, on any exception it is removed.

    Raises:
        Problem: another process writes `target`.
    """
    with _own_name(target) as partial:
        yield partial
        sync(partial)
        os.replace(partial, target)
        sync(target.parent)


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """Like `atomic` for a directory that is made whole; an old `target` is replaced, and comes back if that fails."""
    with _own_name(target) as partial:
        partial.mkdir()
        yield partial
        for path in sorted(partial.rglob("*")):
            sync(path)
        # a directory cannot be renamed over a full one: the old one steps aside first
        old = _aside(target)
        try:
            if target.exists():
                os.replace(target, old)
            os.replace(partial, target)
        except BaseException:
            if old.exists() and not target.exists():  # Ctrl-C may come when the new one is there already
                os.replace(old, target)
            raise
        sync(target.parent)
        remove(old)


@contextmanager
def scratch(target: Path) -> Iterator[Path]:
    """An empty folder beside `target`, on its disk, while nobody else writes `target`; gone at the end."""
    folder = target.absolute().with_name(f".{target.name}.scratch")
    with one_writer.of(target):
        remove(folder)  # a killed run's
        folder.mkdir()
        try:
            yield folder
        finally:
            remove(folder)


@contextmanager
def _own_name(target: Path) -> Iterator[Path]:
    """A name for this process's unfinished `target`, free at first and at the end; with the right to write it."""
    with one_writer.of(target) as held:
        if held:  # then whoever left these is dead
            for left in _partials(target):
                remove(left)
            if _aside(target).exists() and not target.exists():
                os.replace(_aside(target), target)  # killed between the two renames
            remove(_aside(target))
        process = f"{socket.gethostname().replace('.', '_')}-{os.getpid()}"
        partial = target.with_name(f".{target.name}.{process}.partial")
        remove(partial)
        try:
            yield partial
        finally:
            remove(partial)


def _partials(target: Path) -> list[Path]:
    begin = f".{target.name}."
    return [
        one
        for one in target.parent.iterdir()
        if one.name.startswith(begin)
        and one.name.endswith(".partial")
        and one.name.count(".", len(begin)) == 1
    ]


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def remove(path: Path) -> None:
    """Remove a file, link or directory tree if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """UTF-8 text, whole or not at all."""
    with atomic(target) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(target: Path, value: Any) -> None:
    """Two-space JSON with sorted keys and a final newline: the same value gives the same bytes."""
    write_text(target, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def from_here(path: Path) -> str:
    """The path relative to the working directory where it lies below that, so that printed commands are portable."""
    path, here = path.absolute(), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def bytes_of(path: Path) -> int:
    """Bytes of a file or of all files below a directory; links count nothing."""
    if path.is_symlink() or not path.exists():
        return 0
    if path.is_file():
        return path.stat().st_size
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file() and not one.is_symlink())


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes, read in chunks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Wait until a file's content, or a directory's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
