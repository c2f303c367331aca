"""Safetensors files as the safetensors library writes them, which makes them private and does not say which one failed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from distillery.problems import writing


def save(tensors: Mapping[str, np.ndarray], path: Path) -> None:
    """Write tensors of any shapes to a file that others may read, with the metadata that transformers asks for.

    Raises:
        OSError: of the system, with the file's name, where the disk has no room.
    """
    from safetensors.numpy import save_file

    with writing(path):
        save_file(dict(tensors), path, metadata={"format": "pt"})
    path.chmod(0o644)
