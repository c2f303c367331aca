"""Text that may hold anything, as a terminal can show it: what would move its cursor or change its title is spelled out."""

from __future__ import annotations

import re

# C0 but for tab and newline, delete, C1: an escape sequence begins with one of them
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    r"""`text` with control characters and halves of characters spelled out: ESC becomes the four letters \x1b."""
    whole = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", whole)
