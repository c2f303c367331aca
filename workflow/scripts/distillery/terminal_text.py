"""Text that may hold anything, as a terminal can show it: what would move its cursor or change its title is spelled out."""

from __future__ import annotations

import io
import re
from typing import TextIO

from distillery import live_lines
from distillery.addresses import masked

# C0 but for tab and newline, delete, C1: an escape sequence begins with one of them; and what turns the direction of text
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""`text` with control characters and halves of characters spelled out: ESC becomes the four letters \x1b."""
    whole = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return CONTROLS.sub(_spelt, whole)


def _spelt(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


class Shown(io.TextIOWrapper):
    """A stream that people look at: whatever is written to it is printable, and passwords in addresses are masked."""

    def __init__(self, stream: TextIO) -> None:
        self.raw_text = stream  # for colours and bars of our own
        stream.flush()
        super().__init__(
            stream.buffer,
            encoding=stream.encoding,
            errors="backslashreplace",
            line_buffering=getattr(stream, "line_buffering", False),
            write_through=getattr(stream, "write_through", False),  # PYTHONUNBUFFERED
        )

    def write(self, text: str) -> int:
        with live_lines.LOCK:
            live_lines.erase()
            super().write(printable(masked(text)))
            live_lines.wrote(text)
        return len(text)


def shown(stream: TextIO) -> TextIO:
    """The stream as one that people look at; one of a test, without bytes below it, as it is."""
    return stream if isinstance(stream, Shown) or not hasattr(stream, "buffer") else Shown(stream)


def drawn(stream: TextIO) -> TextIO:
    """The stream for control sequences of our own; foreign text that goes there must be `printable` before.

    Whoever takes it draws alone: the line that shows a command's progress is gone for good.
    """
    live_lines.end()
    stream.flush()
    found = stream.raw_text if isinstance(stream, Shown) else stream
    if isinstance(found, io.TextIOWrapper):  # what a terminal of another encoding than UTF-8 has no sign for
        found.reconfigure(errors="replace")
    return found
