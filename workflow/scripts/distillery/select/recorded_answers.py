"""What a row's own columns say of its answers, as OpenR1-Math-220k has them: which are right, and how many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distillery.marks import END_THINK

COUNT, VERIFIED, GENERATIONS = "correctness_count", "correctness_math_verify", "generations"
# one value for each generation, those first that are short to read
EACH = ("is_reasoning_complete", "finish_reasons", VERIFIED, GENERATIONS)


def verdict(row: Mapping[str, Any], answer: str) -> bool | None:
    """What `correctness_math_verify` says of the generation that is learnt; None where none is it, or nothing is said.

    Args:
        answer: as it is learnt: a generation, or what follows its thoughts.
    """
    verdicts, texts = row.get(VERIFIED), row.get(GENERATIONS)
    if not isinstance(verdicts, list) or not isinstance(texts, list) or len(verdicts) != len(texts):
        return None
    wanted = answer.strip()
    for said, text in zip(verdicts, texts, strict=True):
        if isinstance(text, str) and wanted in (text.strip(), text.rpartition(END_THINK)[2].strip()):
            return said if isinstance(said, bool) else None
    return None


def pass_rate(row: Mapping[str, Any]) -> float | None:
    """Right answers among a row's generations, None where it does not say."""
    right = row.get(COUNT)
    if right is None and isinstance(row.get(VERIFIED), list):
        right = sum(map(bool, row[VERIFIED]))
    asked = next((len(row[key]) for key in EACH if isinstance(row.get(key), list)), 0)
    return right / asked if isinstance(right, int) and asked else None
