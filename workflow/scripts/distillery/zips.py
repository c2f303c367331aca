"""Zip archives from elsewhere (.pt files, wheels): what zipfile raises on a damaged one, and small members within bounds."""

from __future__ import annotations

import errno
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distillery.problems import Problem

# a damaged directory, a damaged stream, a codec or a version that Python does not have, an encrypted member
ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, ValueError)


@contextmanager
def opened(path: Path, what: str, fix: str) -> Iterator[zipfile.ZipFile]:
    """The archive, for reading; what goes wrong in reading it is a Problem of these words.

    Raises:
        Problem: damaged, or in a way packed that Python does not read.
        OSError: there is no such file, or its disk fails.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (*ERRORS, OSError, RuntimeError) as error:
        # zipfile seeks to where a damaged directory points: EINVAL; RuntimeError itself is an encrypted member
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        if isinstance(error, RuntimeError) and type(error) not in (RuntimeError, NotImplementedError):
            raise
        found = f"{path.stat().st_size} bytes, {str(error) or type(error).__name__}"
        raise Problem(what, where=path, found=found, fix=fix) from None


def small(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    """The bytes of a member that has at most so many, whatever it was packed to.

    Raises:
        zipfile.BadZipFile: it has more, or others than its CRC-32 says.
    """
    with archive.open(info) as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise zipfile.BadZipFile(f"{info.filename} has more than {most} bytes")
    return data
