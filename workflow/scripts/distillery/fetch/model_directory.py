"""An ordinary Hugging Face model directory: its JSON files and the manifest that says what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distillery import digests, safetensors_header
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

    Of weights also the CRC-32 of every tensor and of what stands before them: whoever reads these compares those, which
    takes a fortieth of sha256's time.

    Args:
        directory: a directory that holds the model's files and nothing else.
        source: what identifies the origin (no paths, no times).
        revision: the hub's commit, a package version, or None for a generated model.
        date: of that revision, where the hub tells it; never of the run.
    """
    entries = digests.entries(directory, digests.contents(directory))
    dated = {} if date is None else {"date": date}
    content = {"source": source, "revision": revision, **dated, "files": entries}
    digests.write_json(directory / MANIFEST, content | _checksums(directory))


def _checksums(directory: Path) -> dict[str, dict[str, str]]:
    from distillery import checksums  # a library in C, which planning does without

    headers, tensors = {}, {}
    for path in sorted(directory.glob("*.safetensors")):
        held = safetensors_header.read(path)
        begin = min((entry.start for entry in held.values()), default=path.stat().st_size)
        headers[path.name] = f"{checksums.of_file(path, 0, begin):08x}"
        for name, entry in held.items():
            tensors[name] = f"{checksums.of_file(path, entry.start, entry.end - entry.start):08x}"
    return {"headers": headers, "tensors": tensors}
