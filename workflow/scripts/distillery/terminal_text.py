"""Text that may hold anything, as a terminal can show it: what would move its cursor or change its title is spelled out."""

from __future__ import annotations

import re

# C0 but for tab and newline, delete, C1: an escape sequence begins with one of them; and what turns the direction of text
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""`text` with control characters and halves of characters spelled out: ESC becomes the four letters \x1b."""
    whole = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return CONTROLS.sub(_spelt, whole)


def _spelt(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
