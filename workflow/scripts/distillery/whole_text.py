"""Text that UTF-8 can say: no half of a character, as a JSON escape, a command's line or a terminal may leave one.

Whatever is read from JSON can hold one; files that this workflow writes cannot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from distillery.problems import Problem

# how JSON writes a half: where no such escape stands, none can be in what is read
ESCAPED = re.compile(rb"\\u[dD][89a-fA-F]")


def check(text: str, where: object) -> None:
    """Refuse half of a character from a JSON escape, or bytes of another encoding in a command.

    Raises:
        Problem: naming the character's place.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Problem(
            "text without a UTF-8 form",
            where=f"{where}, character {error.start}",
            found=ascii(text[max(0, error.start - 10) : error.start + 10]),
            wanted="whole characters",
            fix="correct the text: an escape such as \\ud83d needs its other half, and a command line must be UTF-8",
        ) from None


def check_value(value: Any, where: object) -> None:
    """As `check`, of all texts in a value as JSON has them; keys and places lead to the one that is named."""
    if isinstance(value, str):
        check(value, where)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            check(str(key), f"{where}, a key")
            check_value(one, f"{where}, {key}")
    elif isinstance(value, list | tuple):
        for at, one in enumerate(value):
            check_value(one, f"{where}.{at}")
