"""Names of what a configuration makes of something that it names: the original's name, each key that differs, its value.

    derived("embedded", {"train.lr": 0.001, "train.seed": 1})   # 'embedded-lr0.001-seed1'
    derived("tiny", {"rotary_base": 300})                       # 'tiny-rotary_base300'
    derived("embedded", {"generate.stop_words": ["$", "#"]})    # 'embedded-stop_words-x513d67b113e3'

Names become directories. Of the same original and the same keys, different values give different names, equal values equal ones
(1 and 1.0 are equal numbers). A value that is no number or plain word is named by its digest, and so is all that would be too long.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from distillery.provenance import canonical, digest

LONGEST = 100  # characters, as the schema allows for names
WORD = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
NO_WORDS = ("true", "false", "null")  # as which values that are no text are written


def derived(original: str, settings: Mapping[str, Any]) -> str:
    """The name of `original` under these settings, dotted keys with their values; without settings its own."""
    if not settings:
        return original
    short = [key.rpartition(".")[2] for key in settings]
    keys = [one if short.count(one) == 1 else key for one, key in zip(short, settings, strict=True)]
    values = [_equal(value) for value in settings.values()]
    parts = [key + _word(value, keys) for key, value in zip(keys, values, strict=True)]
    name = "-".join([original, *parts])
    return name if len(name) <= LONGEST else f"{original}-x{digest([keys, values])[:12]}"


def _word(value: Any, keys: list[str]) -> str:
    """A value as part of a name: no text can be taken for a number, a digest, or for the beginning of another key."""
    if not isinstance(value, (str, dict, list)):
        return canonical(value)
    plain = isinstance(value, str) and WORD.fullmatch(value) and value not in NO_WORDS
    if plain and not any(f"-{key}" in value for key in keys):
        return value
    return f"-x{digest(value)[:12]}"


def _equal(value: Any) -> Any:
    """The value with equal numbers written alike: 1.0 as 1."""
    if isinstance(value, dict):
        return {key: _equal(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_equal(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
