"""Problems that a training shard holds: decontamination by runs of 8 words, as open-r1 does it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from distillery.planning.sample import read
from distillery.tokenize import readers

GRAM = 8  # words


def contamination(shard: Path, problems: Path) -> dict[str, Any]:
    """How many of the problems all of whose runs of 8 words (or, shorter, whose whole text) a shard's problems hold."""
    if "problem" not in readers.Source(shard).columns():
        return {"problems": 0, "contained": 0}
    seen: set[tuple[str, ...]] = set()
    for row in read(shard, ["problem"]):
        seen.update(grams(row["problem"] or ""))
    asked = [grams(row["problem"]) for row in read(problems, ["problem"])]
    return {"problems": len(asked), "contained": sum(one <= seen for one in asked)}


def grams(text: str) -> set[tuple[str, ...]]:
    """All runs of 8 words, or the one run of a shorter text; case and punctuation do not count."""
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[at : at + GRAM]) for at in range(max(1, len(words) - GRAM + 1))}
