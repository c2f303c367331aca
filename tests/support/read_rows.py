"""Rows as our readers give them, and files to read."""

from __future__ import annotations

from pathlib import Path

from distillery.tokenize import readers


def ours(path: Path, columns: list[str] | None = None) -> list[dict]:
    rows = []
    for source in readers.sources(path):
        rows += [row for block in source.blocks(columns or source.columns()) for row in block]
    return rows


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
