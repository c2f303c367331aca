"""Processes told from later ones that have the same number."""

from __future__ import annotations

from pathlib import Path


def began(process: int | None) -> str | None:
    """When a process began, in ticks since boot as /proc says; None for one that is gone, or ended and is not yet reaped."""
    try:
        # the name in parentheses may hold anything
        fields = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
