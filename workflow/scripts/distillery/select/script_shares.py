"""The share of a text's letters that are of some scripts: a language told without a model.

Scripts are Unicode's (Standard Annex 24). Letters that all scripts share, such as those of formulas, do not count.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

ASCII = re.compile(r"[\x00-\x7f]+")
ASCII_LETTERS = string.ascii_letters.encode()


class ScriptShare:
    """Letters of these scripts among all letters; names as Unicode spells them: Latin, Han, Cyrillic."""

    def __init__(self, scripts: Sequence[str]) -> None:
        import regex

        self._letter = regex.compile(r"(?!\p{sc=Common}|\p{sc=Inherited})\p{L}")
        self._own = regex.compile("[" + "".join(rf"\p{{sc={one}}}" for one in scripts) + "]")
        self._kinds: dict[str, tuple[bool, bool]] = {}

    def of(self, text: str) -> float:
        """From 0 to 1; 1 for a text without letters."""
        # most texts are mostly ASCII, whose letters are all Latin's: counted at once, in two fifths of the time
        plain = text.encode("ascii", "ignore")
        letters = len(plain) - len(plain.translate(None, ASCII_LETTERS))
        own = letters * self._kind("a")[1]
        for sign, count in Counter(ASCII.sub("", text)).items():
            is_letter, is_own = self._kinds.get(sign) or self._kinds.setdefault(sign, self._kind(sign))
            letters += is_letter * count
            own += is_own * count
        return own / letters if letters else 1.0

    def _kind(self, sign: str) -> tuple[bool, bool]:
        is_letter = bool(self._letter.match(sign))
        return is_letter, is_letter and bool(self._own.match(sign))
