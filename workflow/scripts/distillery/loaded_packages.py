"""Which packages a command has loaded, in which versions: a note beside its log, for the manifests of what it made.

It stands in no result and in no key, so that an upgraded package makes nothing stale.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from distillery import json_files, notes

DISTRIBUTION = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)\.(?:dist|egg)-info")
OTHERWISE = {"yaml": "pyyaml", "PIL": "pillow"}  # modules that are not called as their package is


def beside(log: Path) -> Path:
    """Where the note lies of the command that writes this log."""
    return log.with_suffix(".versions.json")


def note(log: Path) -> None:
    """Write it: of no weight, so whatever keeps it from being written fails nothing."""
    with suppress(OSError):
        notes.write(beside(log), json.dumps(found(set(sys.modules)), sort_keys=True) + "\n")


def read(log: Path) -> dict[str, str] | None:
    """{package: version} of the command that wrote this log; None where it left no note, or a damaged one."""
    try:
        said = json_files.loads(beside(log).read_bytes())
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) else None


def found(modules: Collection[str]) -> dict[str, str]:
    """{package: version} of Python and of the installed packages that these modules are of.

    The names of folders tell, by which installers say so (https://packaging.python.org/en/latest/specifications/recording-installed-packages);
    their metadata are not read, for that takes longer than many a command.
    """
    wanted = {_normal(OTHERWISE.get(name, name)) for name in modules if "." not in name}
    versions: dict[str, str] = {}
    for folder in sys.path:
        with suppress(OSError):
            for entry in sorted(os.listdir(folder or ".")):
                said = DISTRIBUTION.fullmatch(entry)
                if said and (name := _normal(said["name"])) in wanted:
                    versions.setdefault(name, said["version"])  # the first on the path is what is imported
    return {"python": ".".join(map(str, sys.version_info[:3]))} | dict(sorted(versions.items()))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
