"""Wheels for the tests of what is fetched from package registries."""

import zipfile
from pathlib import Path


def make_wheel(folder: Path, name: str, members: dict[str, bytes]) -> Path:
    """A wheel that pip accepts."""
    path = folder / f"{name}-1.0.0-py3-none-any.whl"
    info = f"{name}-1.0.0.dist-info/"
    tags = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    metadata = f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0.0\n".encode()
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in (members | {info + "METADATA": metadata, info + "WHEEL": tags}).items():
            archive.writestr(member, content)
        archive.writestr(info + "RECORD", "")
    return path
