"""Files of no weight, beside what counts: whole or not there, and not forced to the disk."""

from __future__ import annotations

import os
from pathlib import Path


def write(target: Path, text: str) -> None:
    """UTF-8 text as `files.write_text` writes it, but for the wait until the disk has it: a power cut may spoil it.

    Raises:
        OSError: it cannot be written.
    """
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(target)
