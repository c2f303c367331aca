"""The manifest beside fetched and exported files: whether the small ones, which are read whole anyway, are still those."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from distillery import json_files
from distillery.problems import Problem

MANIFEST = "manifest.json"


def check(directory: Path, contents: Mapping[str, bytes]) -> None:
    """Hold files that were read against the sha256 that their directory's manifest lists; without one nothing is known.

    Args:
        contents: {name: bytes as they were read}.

    Raises:
        Problem: a file was changed or replaced since the manifest was written.
    """
    path = directory / MANIFEST
    if not path.is_file():
        return
    manifest = json_files.read(path)
    listed = (
        {one["name"]: one.get("sha256") for one in manifest.records("files")} if "files" in manifest else {}
    )
    for name, data in contents.items():
        wanted, found = listed.get(name), hashlib.sha256(data).hexdigest()
        if wanted and wanted != found:
            raise Problem(
                "a file is not the one that was fetched or exported here",
                where=directory / name,
                found=f"{len(data)} bytes, sha256 {found}",
                wanted=f"sha256 {wanted}, as {MANIFEST} lists",
                fix=f"remove {path} and run the workflow again: it brings the file back. Files that are changed on purpose"
                " belong in a directory of their own (a `path` source)",
            )
