"""How much longer a text may become inside a tokenizer: its normalizer's and decoder's replacements, multiplied.

A tokenizer.json of a kilobyte can turn each letter into gigabytes: forty replacements that each double it, or one whose
content is a book. tokenizers ends the process where memory ends. Real ones replace a space by three bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery.problems import Problem

if TYPE_CHECKING:
    import tokenizers

MOST = 64.0  # times; Unicode's own decompositions, which are not counted here, reach 18
LISTS = ("normalizers", "pretokenizers", "decoders")  # keys of the parts of a Sequence


def check(backend: tokenizers.Tokenizer, path: Path) -> None:
    """Refuse a tokenizer whose replacements let a text grow beyond sense.

    Raises:
        Problem: naming the file and the part.
    """
    for name in ("normalizer", "pre_tokenizer", "decoder"):
        part = getattr(backend, name)
        times = 1.0 if part is None else _times(json.loads(part.__getstate__()))
        if times > MOST:
            raise Problem(
                "a tokenizer that lets a text grow beyond sense",
                where=f"{path}, {name}",
                found=f"{times:g} times the characters",
                wanted=f"at most {MOST:g} times",
                fix="do not trust this file; fetch it again from its source",
            )


def _times(part: Any) -> float:
    """Of one part, whatever its kind: most have no replacement and give 1."""
    if isinstance(part, list):
        times = 1.0
        for one in part:
            times *= _times(one)
        return times
    if not isinstance(part, dict):
        return 1.0
    if part.get("type") == "Sequence":
        return _times([one for key in LISTS for one in part.get(key) or []])
    if part.get("type") == "Replace":
        pattern = part.get("pattern", {})
        # an expression may match a letter, or nothing at all, which puts the content between letters too
        length = len(pattern.get("String", "")) if "String" in pattern else 0
        content = len(part.get("content", ""))
        return max(1.0, content / length) if length else 1.0 + content
    return 1.0 + len(part.get("prepend", "")) if part.get("type") == "Prepend" else 1.0
