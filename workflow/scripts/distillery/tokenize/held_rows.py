"""Rows that are asked about and never learnt: told row by row, by the words of some columns, so that any reader tells them alike.

rule = HeldOut(one_in=10, columns=("question",))
rule.holds({"question": "What is 1 + 1?", ...})
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distillery import dotted

WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class HeldOut:
    """About one row of `one_in`, by a digest of the words in `columns`, whose names may be dotted: rows of the same words are on the same side."""

    one_in: int
    columns: tuple[str, ...]

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether the row is held out."""
        return self.holds_texts([dotted.value(row, column) for column in self.columns])

    def holds_texts(self, values: Sequence[Any]) -> bool:
        """The same of the columns' values."""
        words = " ".join(word for value in values for word in WORD.findall(str(value).lower()))
        digest = hashlib.sha256(words.encode("utf-8", "replace")).digest()
        return int.from_bytes(digest[:8], "big") % self.one_in == 0


def of(settings: Mapping[str, Any] | None) -> HeldOut | None:
    """What `hold_out` of a configuration says."""
    return HeldOut(settings["one_in"], tuple(settings["columns"])) if settings else None
