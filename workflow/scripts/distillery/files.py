"""Files that are either whole or absent: write beside the target, fsync, rename.

The temporary name is fixed (`.NAME.partial`), so what a killed run left is overwritten by the next one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic(target: Path) -> Iterator[Path]:
    """Yield a temporary path; on success it becomes `target`, on any exception it is removed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    remove(partial)
    try:
        yield partial
        sync(partial)
        os.replace(partial, target)
        sync(target.parent)
    except BaseException:
        remove(partial)
        raise


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """Like `atomic` for a directory that is made whole; an old `target` is replaced."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    remove(partial)
    partial.mkdir()
    try:
        yield partial
        for path in sorted(partial.rglob("*")):
            sync(path)
        # a directory cannot be renamed over a full one: the old one steps aside first
        old = target.with_name(f".{target.name}.old")
        remove(old)
        if target.exists():
            os.replace(target, old)
        os.replace(partial, target)
        sync(target.parent)
        remove(old)
    except BaseException:
        remove(partial)
        raise


def remove(path: Path) -> None:
    """Remove a file, link or directory tree if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    with atomic(target) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(target: Path, value: Any) -> None:
    """Two-space JSON with sorted keys and a final newline: the same value gives the same bytes."""
    write_text(target, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


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
