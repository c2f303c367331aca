"""Caches that know their own content: one that was damaged is as if it were not there, and is made anew.

if not sealed.whole(target): ...make it beside it...; sealed.seal(partial); os.replace(partial, target)
"""

from __future__ import annotations

import json
from pathlib import Path

from distillery import files

SEAL = ".sha256"  # the ending of the file beside a file; the name of the one in a directory


def seal(path: Path, target: Path | None = None) -> None:
    """Write down the content of a file or a directory.

    Args:
        target: the name that a file will have.
    """
    _seal(target or path).write_text(json.dumps(_content(path), sort_keys=True), encoding="utf-8")


def whole(path: Path) -> bool:
    """Whether a file or directory is there, and is what it was when it was sealed."""
    try:
        return json.loads(_seal(path).read_text(encoding="utf-8")) == _content(path)
    except (OSError, ValueError):
        return False


def _seal(path: Path) -> Path:
    return path / SEAL if path.is_dir() else path.with_name(path.name + SEAL)


def _content(path: Path) -> dict[str, str]:
    below = sorted(one for one in path.rglob("*") if one.is_file() and one.name != SEAL)
    return (
        {str(one.relative_to(path)): files.sha256(one) for one in below}
        if path.is_dir()
        else {"": files.sha256(path)}
    )
