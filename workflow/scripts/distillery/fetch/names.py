"""Names of files on hubs: which are safe to write, and which a model needs.

A hub's listing is input from outside: its names decide where bytes land on this disk.
"""

from __future__ import annotations

import fnmatch
from pathlib import Path, PurePosixPath

from distillery.problems import Problem

# weights as plain tensors, and text; pickles (.bin, .pt) can run code when read, and so can .py
MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*.md", "LICENSE*", "NOTICE*")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.joblib")


def safe(name: str) -> str:
    """The name if it stays inside the directory it is joined to, whatever the file system.

    Raises:
        Problem: absolute, empty or dotted parts, a backslash, a drive letter or a control character.
    """
    parts = name.split("/")
    bad = (
        not name
        or len(name) > 512
        or any(part in ("", ".", "..") or len(part.encode()) > 240 for part in parts)
        or any(character in '\\:*?"<>|' or ord(character) < 32 or ord(character) == 127 for character in name)
        or PurePosixPath(name).is_absolute()
        or any(part.startswith(".") and part.endswith((".part", ".state")) for part in parts)  # our own files
    )
    if bad:
        raise Problem(
            "a hub names a file that could leave its directory",
            found=repr(name),
            wanted="a relative path of ordinary names",
            fix="do not fetch from this repository",
        )
    return name


def inside(directory: Path, name: str) -> Path:
    """The path of a file below a directory; no folder on the way may be a symbolic link.

    Raises:
        Problem: the name is not safe, or a link in the directory leads elsewhere.
    """
    path = directory / safe(name)
    for parent in [path, *path.parents]:
        if parent == directory:
            return path
        if parent.is_symlink():
            raise Problem(
                "a symbolic link is in the way", where=parent, fix="remove it: files of hubs go beside it"
            )
    raise AssertionError(f"{path} is not below {directory}")


def of_model(names: list[str]) -> list[str]:
    """Files of a model that are worth fetching and safe to read.

    Raises:
        Problem: there are weights, but only as pickles.
    """
    kept = [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in MODEL_FILES)]
    if not any(name.endswith(".safetensors") for name in kept):
        pickles = [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in PICKLES)]
        raise Problem(
            "the repository has no safetensors weights",
            found=", ".join(pickles[:3]) or ", ".join(names[:5]) or "nothing",
            wanted="*.safetensors: pickled weights can run code when they are read",
            fix="choose a revision or a repository with safetensors",
        )
    return kept
