"""An ordinary Hugging Face model directory: its JSON files and the manifest that says what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distillery import digests
from distillery.digests import MANIFEST
from distillery.fetch import names
from distillery.problems import Problem


def local_files(path: Path) -> list[str]:
    """Names of a model's files in a directory of this machine: weights, tokenizer, configuration and templates, sorted.

    Raises:
        Problem: no such directory, or no weights that are safe to read.
    """
    if not path.is_dir():
        raise Problem("no such directory", where=path)
    return names.of_model(sorted(digests.contents(path)))


def write_manifest(
    directory: Path, source: dict[str, Any], revision: str | None, date: str | None = None
) -> None:
    """Write manifest.json: where the files come from, and bytes and sha256 of each, names sorted.

    Args:
        directory: a directory that holds the model's files and nothing else.
        source: what identifies the origin (no paths, no times).
        revision: the hub's commit, a package version, or None for a generated model.
        date: of that revision, where the hub tells it; never of the run.
    """
    entries = digests.entries(directory, digests.contents(directory))
    dated = {} if date is None else {"date": date}
    digests.write_json(
        directory / MANIFEST, {"source": source, "revision": revision, **dated, "files": entries}
    )
