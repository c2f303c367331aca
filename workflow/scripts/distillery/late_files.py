"""Files that need not be there, on disks that show late what another machine has written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from distillery import digests
from distillery.problems import Problem


def there(path: Path) -> bool:
    """Whether a file is there that need not be. Its digest is written after it: alone it says that the file must be.

    Raises:
        Problem: only the digest is there.
    """
    if path.is_file():
        return True
    if digests.beside(path).is_file():
        raise Problem(
            "a file is not there, but its digest is",
            where=path,
            found=digests.beside(path).name,
            wanted=path.name,
            fix=f"if another machine has just written it, run the same command again; else {digests.again(path)}",
        )
    return False


def present(directory: Path, names: Iterable[str]) -> list[str]:
    """Those of some files that are in a directory, none of which need be, but those that its manifest lists.

    Raises:
        Problem: names a file that is listed and not there.
    """
    manifest, names = directory / digests.MANIFEST, list(names)
    found = [name for name in names if (directory / name).is_file()]
    content = digests.read_json(manifest) if there(manifest) else {}
    listed = {one["name"] for one in content.records("files")} if "files" in content else set()
    for name in names:
        if name in listed and name not in found:
            raise Problem(
                "a file that the manifest lists is not there",
                where=directory / name,
                found="no such file",
                wanted=f"it, as {manifest} has it",
                fix=f"if another machine has just written it, run the same command again; else {digests.again(manifest)}",
            )
    return found
