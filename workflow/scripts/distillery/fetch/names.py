"""Names of files on hubs: which are safe to write, which a model needs, and how ranges are written.

A hub's listing is input from outside: its names decide where bytes land on this disk.
"""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path, PurePosixPath

from distillery.problems import Problem, UsageProblem

RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
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


def expand(pattern: str) -> list[str]:
    """`data/train-{00000..00009}-of-00010.parquet` as ten names; numbers keep their width."""
    match = RANGE.search(pattern)
    if match is None:
        return [pattern]
    first, last = match[1], match[2]
    if int(first) > int(last):
        raise UsageProblem("a range that runs backwards", where=pattern, found=match[0])
    numbers = [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
    return [
        name
        for number in numbers
        for name in expand(pattern[: match.start()] + number + pattern[match.end() :])
    ]


def chosen(names: list[str], patterns: list[str]) -> list[str]:
    """The names that patterns (ranges and shell wildcards) select, in the order of the patterns.

    Raises:
        Problem: a pattern selects nothing.
    """
    found: dict[str, None] = {}
    for pattern in (one for written in patterns for one in expand(written)):
        matches = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
        if not matches:
            near = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
            raise Problem("no such file on the hub", found=near or "an empty repository", wanted=pattern)
        found.update(dict.fromkeys(matches))
    return list(found)


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
