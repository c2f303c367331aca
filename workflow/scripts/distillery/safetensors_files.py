"""Safetensors files written by the safetensors library, whose errors do not say which file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from distillery.problems import OF_RUST


def save(tensors: Mapping[str, np.ndarray], path: Path) -> None:
    """Write tensors of any shapes to a file that others may read, with the metadata that transformers asks for.

    Raises:
        OSError: of the system, with the file's name, where the disk is full or fails.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file(dict(tensors), path, metadata={"format": "pt"})
    except SafetensorError as error:
        if not (told := OF_RUST.search(str(error))):
            raise
        raise OSError(int(told[1]), os.strerror(int(told[1])), str(path)) from error
    path.chmod(0o644)  # it was made private
