"""The files of a source, as a configuration names them: names, wildcards and ranges, in any of six formats.

    expand("data/{08..10}.jsonl")                        # ["data/08.jsonl", "data/09.jsonl", "data/10.jsonl"]
    chosen(listed, ["data/*.parquet"], "the repository") # of names that a hub or a wheel lists
    in_folder(Path("my data"), "rows (1).csv")           # of a folder of this machine
    one_format(["a.jsonl.gz", "b.json"], "my data")      # "json"

`*` and `?` match within a folder, `**` any number of folders, `[ab]` one of these characters. A file whose name is exactly what is
written is meant before any wildcard in it. Chosen names come sorted, each once.
"""

from __future__ import annotations

import fnmatch
import glob
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from distillery import schema
from distillery.problems import Problem, UsageProblem

RANGE = re.compile(r"\{(\d{1,18})\.\.(\d{1,18})\}", re.ASCII)
MOST_NAMES = 100_000
TABLES = (".parquet", ".arrow")
TEXTS = (".csv", ".json", ".jsonl", ".txt")
PACKED = (".gz", ".zst")  # of texts; tables are packed inside
ENDINGS = (*TABLES, *TEXTS, *(text + packed for text in TEXTS for packed in PACKED))
# a pattern of names that are read, and of none that lie beside them
A_NAME = rf"[^/]+(?:{'|'.join(map(re.escape, ENDINGS))})(?<!\.manifest\.json)"
SHOWN = 5  # names in a message


def opened(path: Path) -> BinaryIO:
    """The file's bytes, unpacked if its name ends in .gz or .zst."""
    if path.suffix == ".gz":
        from isal import igzip

        return igzip.open(path, "rb")
    if path.suffix == ".zst":
        import pyarrow as pa

        return pa.input_stream(str(path), compression="zstd")
    return path.open("rb")


def held(path: Path, spare: int = 32 << 20) -> int:
    """Bytes that may be held at once of what a file unpacks to, such as one row: text seldom packs to less than an eighth."""
    return 8 * path.stat().st_size + spare


def expand(pattern: str) -> list[str]:
    """`data/train-{00000..00009}-of-00010.parquet` as ten names; numbers keep their width.

    Raises:
        UsageProblem: a range that runs backwards, or ranges of more than MOST_NAMES.
    """
    ends = [(int(one[1]), int(one[2])) for one in RANGE.finditer(pattern)]
    if (number := math.prod(max(last - first + 1, 0) for first, last in ends)) > MOST_NAMES:
        raise UsageProblem(
            "ranges of too many names",
            where=pattern,
            found=f"{number:,}",
            wanted=f"at most {MOST_NAMES:,}",
            fix="write a wildcard, or fewer files",
        )
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


def written(files: str | Sequence[str]) -> list[str]:
    """The names and wildcards of a `files` key, ranges written out."""
    return [name for one in schema.listed(files) for name in expand(one)]


def has_wildcard(name: str) -> bool:
    """Whether a name says which files only once there is something to look at."""
    return glob.has_magic(name)


def chosen(names: Iterable[str], files: str | Sequence[str], where: object) -> list[str]:
    """Those of listed names that a `files` key selects.

    Args:
        where: what lists them, for messages.

    Raises:
        Problem: something in `files` selects nothing.
    """
    there = dict.fromkeys(names)
    found: dict[str, None] = {}
    for one in written(files):
        matches = (
            [one] if one in there else [name for name in there if _matches(name.split("/"), one.split("/"))]
        )
        if not matches:
            raise _nothing(one, there, where)
        found.update(dict.fromkeys(matches))
    return sorted(found)


def in_folder(folder: Path, files: str | Sequence[str]) -> list[str]:
    """The files below a folder of this machine that a `files` key selects, as paths relative to it.

    What has no wildcard is taken as it stands, whether it is there or not: a plan can be made before the files come.

    Raises:
        Problem: the folder is a file, or a wildcard matches nothing.
    """
    if folder.is_file():
        raise Problem(
            "a file stands where a folder is wanted",
            where=folder,
            wanted="path: the folder, files: names in it",
            fix=f"write path: {str(folder.parent)!r}, files: {folder.name!r}",
        )
    found: dict[str, None] = {}
    for one in written(files):
        if not has_wildcard(one) or (folder / one).is_file():
            found[one] = None
            continue
        matches = [
            name for name in glob.iglob(one, root_dir=folder, recursive=True) if (folder / name).is_file()
        ]
        if not matches:
            there = (
                path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()
            )
            raise _nothing(one, there, folder)
        found.update(dict.fromkeys(matches))
    return sorted(found)


def one_format(names: Iterable[str], where: object) -> str:
    """The one format of these files: `parquet`, `arrow`, `csv`, `json` (.jsonl too) or `txt`.

    Raises:
        Problem: an ending that is not read, or files of several formats.
    """
    examples: dict[str, str] = {}
    for name in names:
        ending = next((one for one in ENDINGS if name.endswith(one)), None)
        if ending is None:
            raise Problem(
                "a file of unknown kind",
                where=where,
                found=name,
                wanted=f"{', '.join((*TABLES, *TEXTS))}; the last {len(TEXTS)} also with {' or '.join(PACKED)}",
                fix="name data files only, or rename the file if it is of one of these kinds",
            )
        examples.setdefault({"jsonl": "json"}.get(kind := ending.split(".")[1], kind), name)
    if len(examples) > 1:
        raise Problem(
            "files of several formats",
            where=where,
            found=", ".join(f"{kind} ({name})" for kind, name in sorted(examples.items())),
            wanted="files of one format",
            fix="make two sources of them, or convert one format to the other",
        )
    return next(iter(examples))


def _nothing(wanted: str, there: Iterable[str], where: object) -> Problem:
    names = list(there)
    near = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    return Problem(
        "no such file",
        where=where,
        found=near or "no files at all",
        wanted=wanted,
        fix="correct `files`: names, wildcards (* ? [ab] **) or ranges such as {00000..00009}",
    )


def _matches(parts: list[str], pattern: list[str]) -> bool:
    """As `glob` matches paths, part by part: a leading dot is matched by a dot only."""
    if not pattern or not parts:
        return pattern in ([], ["**"]) and not parts
    if pattern[0] == "**":
        return _matches(parts, pattern[1:]) or (parts[0][:1] != "." and _matches(parts[1:], pattern))
    hidden = parts[0][:1] == "." and pattern[0][:1] != "."
    return not hidden and fnmatch.fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])
