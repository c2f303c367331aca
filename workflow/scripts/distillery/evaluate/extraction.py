r"""Where the answer of a generation is: after the thinking, in the box, and whether it counts at all.

Strict reading: the answer is the last `\boxed{...}` after the closed `</think>`; a generation that was
cut at the length limit or never stopped thinking has none. Several boxes joined by commas, "and" or "or"
are one answer. Lenient reading: whatever math-verify finds in the text, which takes the last number of
`no box at all, 70` for an answer; it is reported beside the strict one and never instead of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

OPEN, CLOSE = "<think>", "</think>"
JOINT = re.compile(r"[\s$,]*(?:and|or)?[\s$,]*")


@dataclass(frozen=True)
class Reading:
    """What a generation says: `boxed` under the strict rules or None, `text` to search leniently."""

    boxed: str | None
    text: str
    unfinished_think: bool


def read(prompt: str, text: str, stop: str) -> Reading:
    """Read one generation.

    Args:
        prompt: the rendered prompt; some templates end it with `<think>`.
        text: what the model wrote.
        stop: why it stopped; "length" means that it was cut.
    """
    begun = OPEN in text or prompt.rstrip().endswith(OPEN)
    head, closed, answer = text.rpartition(CLOSE)
    # thinking begun again after it was closed, and left open
    unfinished = (begun and not closed) or OPEN in answer
    boxed = None if unfinished or stop == "length" else last_box(answer)
    return Reading(boxed, text if unfinished else answer, unfinished)


def last_box(text: str) -> str | None:
    r"""Content of the last non-empty `\boxed{...}`, with those just before it that are joined to it."""
    boxes = [box for box in _boxes(text) if text[box[0] : box[1]].strip()]
    if not boxes:
        return None
    joined = [boxes.pop()]
    while boxes and JOINT.fullmatch(text[boxes[-1][1] + 1 : joined[0][0]].removesuffix("\\boxed{")):
        joined.insert(0, boxes.pop())
    return ", ".join(text[start:end].strip() for start, end in joined)


def _boxes(text: str) -> list[tuple[int, int]]:
    r"""(start, end) of the contents of all `\boxed{...}` whose braces balance, outermost only."""
    found, at = [], 0
    while (at := text.find("\\boxed{", at)) >= 0:
        start, depth = at + len("\\boxed{"), 1
        at = start
        for position in range(start, len(text)):
            if text[position] in "{}" and text[position - 1] != "\\":
                depth += 1 if text[position] == "{" else -1
            if depth == 0:
                found.append((start, position))
                at = position
                break
    return found
