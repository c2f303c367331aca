"""Which rows scripts tokenize: the shards that a `wget` loop or a hub's tool fetches, or the files of --input."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from distillery.shell import script_models
from distillery.shell.programs import Program
from distillery.shell.shell_commands import Command
from distillery.shell.shell_words import Place
from distillery.source_files import ENDINGS

SHARD = "train-00000-of-00001.parquet"
URL = re.compile(
    r"https?://(?P<host>[^/]+)/datasets/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>[^?\s]+)"
)
HUB = "huggingface.co"
# rows of a dataset's default configuration (its card), and an estimate of their mean length in tokens
PUBLISHED = {"open-r1/OpenR1-Math-220k": (93733, 5300)}


@dataclass(frozen=True)
class Rows:
    """A dataset: its source in the configuration, the shards that are tokenized, and what was taken from where.

    Attributes:
        odd: what is no file of rows by its name, with the name that it gets in the configuration.
        shards: how many of the first ones, None for all.
    """

    name: str
    source: dict[str, Any]
    place: Place
    reason: str
    shards: int | None = None
    odd: tuple[str, str] | None = None
    comments: dict[str, str] = field(default_factory=dict)


def find(tokenizing: Program | None, commands: Sequence[Command], programs: Sequence[Program]) -> Rows:
    """The rows of these scripts."""
    fetched = _fetched(commands)
    given = tokenizing.flags.get("--input") if tokenizing else None
    if fetched:
        name, source, place = fetched
        shards = None
        if given and given.text.endswith(".parquet"):
            source, shards = _taken(source, given.text.rpartition("/")[2])
        return Rows(name, _published(source), place, "", shards)
    if given is None:
        place = tokenizing.place if tokenizing else programs[0].place
        return Rows("rows", _path("data", SHARD), place, "no script says which rows")
    folder, _, file = given.text.rstrip("/").rpartition("/")
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", re.split(r"\.|-\d+-of-", file)[0]).strip("-") or "rows"
    if _is_shard(file):
        numbered = file.startswith("train-")
        return Rows("rows" if numbered else name, _path(folder or ".", file), given.place, "")
    if "." not in file:  # a folder, all of whose files are read
        return Rows(name, _path(given.text, SHARD), given.place, "", odd=(f"{given.text}, a folder", SHARD))
    return Rows(name, _path(folder or ".", SHARD), given.place, "", odd=(given.text, SHARD))


def _path(folder: str, file: str) -> dict[str, Any]:
    return {"path": {"path": folder, "files": file}}


def _is_shard(file: str) -> bool:
    return file.endswith(ENDINGS)


def _fetched(commands: Sequence[Command]) -> tuple[str, dict[str, Any], Place] | None:
    """(name, source, place) of what scripts fetch from a hub's datasets."""
    found = [
        (match, word.place)
        for command in commands
        if command.name.rpartition("/")[2] in ("wget", "curl", "aria2c", "axel")
        for word in command.words
        if (match := URL.search(word.text)) and _is_shard(match["path"])
    ]
    if found:
        first, place = found[0]
        files = [match["path"] for match, _ in found if match["repo"] == first["repo"]]
        hub = {
            "host": "huggingface",
            "repo": first["repo"],
            "revision": first["revision"],
            "files": _pattern(files),
        }
        if first["host"] != HUB:
            hub["endpoints"] = [f"https://{first['host']}"]
        return first["repo"].rpartition("/")[2].lower(), {"hub": hub}, place
    for command in commands:
        if source := script_models.downloaded(command, kind="dataset"):
            repo = source["hub"]["repo"]
            source["hub"]["files"] = f"data/{SHARD}"
            return repo.rpartition("/")[2].lower(), source, command.place
    return None


def _pattern(files: Sequence[str]) -> str:
    """`train-{00000..00009}-of-00010.parquet` for a row of files that are numbered one after the other."""
    parts = [re.fullmatch(r"(.*train-)(\d+)(-of-\d+\.parquet)", file) for file in files]
    numbers = [int(part[2]) for part in parts if part]
    alike = all(parts) and len({(part[1], part[3]) for part in parts}) == 1
    if len(files) < 2 or not alike or numbers != list(range(numbers[0], numbers[0] + len(files))):
        return files[0]
    return f"{parts[0][1]}{{{parts[0][2]}..{parts[-1][2]}}}{parts[0][3]}"


def _taken(source: dict[str, Any], file: str) -> tuple[dict[str, Any], int | None]:
    """The source and how many of its first shards --input takes: one, or another one than the first."""
    pattern = source["hub"]["files"]
    match = re.search(r"\{(\d+)\.\.\d+\}", pattern)
    if match is None:
        return source, None
    first = pattern[: match.start()] + match[1] + pattern[match.end() :]
    if first.rpartition("/")[2] == file:
        return source, 1
    folder = pattern.rpartition("/")[0]
    return (
        ({"hub": {**source["hub"], "files": f"{folder}/{file}"}}, None) if _is_shard(file) else (source, None)
    )


def _published(source: dict[str, Any]) -> dict[str, Any]:
    """With rows and their mean length where they are published, which checks of steps and answers ask for."""
    published = PUBLISHED.get(source["hub"]["repo"])
    if published is None or "{" not in source["hub"]["files"]:
        return source
    rows, mean = published
    return {"hub": {**source["hub"], "rows": rows, "tokens_per_row": mean}}
