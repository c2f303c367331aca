r"""Where the answer of a generation is: after the thinking, in the box, and whether it counts at all.

Strict reading: the answer is the last `\boxed{...}` after the closed `</think>`; a generation that was cut at the length
limit or never stopped thinking has none. Boxes joined by commas, semicolons, "and" or "or" are one answer. Lenient
reading: the last box anywhere, and without one whatever math-verify finds in the text, which takes the last number of
`no box at all, 70` for an answer; it is reported beside the strict one and never instead of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from distillery.marks import END_THINK, THINK

# a command that boxes, its backslash perhaps doubled by somebody's JSON; an escaped character; a brace
TOKEN = re.compile(r"\\\\?(?:boxed|fbox)(?![A-Za-z])\s*(?P<brace>\{)?|\\[\\{}]|[{}]")
# the argument of a \boxed without braces: a number, a fraction, a letter
BARE = re.compile(
    r"[-+]?(?:\d+(?:[.,]\d+)*(?:/\d+)?|\\[dt]?frac\s*(?:\{[^{}]*\}\s*\{[^{}]*\}|\d\s*\d)|\\pi|[A-Za-z](?![A-Za-z]))"
)

JOINT_LENGTH = 80  # characters between two boxes of one answer
MARKUP = re.compile(r"\\(?:[\s,;:!()\[\]\\]|q?quad(?![A-Za-z]))|[$~*]|([-+=_])\1{2,}")
TEXT = re.compile(r"\\(?:text|mbox|textbf|textrm|mathrm)\s*\{([^{}]*)\}")
NAME = r"[A-Za-z]+(?:_\{?\w{1,6}\}?)?(?:\([A-Za-z]\))?\s*="
# nothing but marks, or a few words that end with a mark or a conjunction (`\boxed{1} papers and \boxed{2} bins`)
# the next item of a list, or part of a question
ITEM = r"\s*\n\s*(?:[-•]|\d{1,2}[.)])\s*|\s*\(?(?:[a-h]|i{1,3}|iv|v|[1-9])\)\s*"
JOINT = re.compile(
    rf"(?:{ITEM})(?:{NAME})?\s*|\s*(?:(?:[\w()'°%-]+\s+){{0,4}}?[\w()'°%-]*\s*(?:\b(?:and|or)\b|[,;&，；、和或与及]))?[\s,;，；、]*(?:and|or)?\s*(?:{NAME})?\s*"
)


@dataclass(frozen=True)
class Reading:
    """What a generation says: `boxed` under the strict rules or None, `text` to search leniently."""

    boxed: str | None
    text: str


def opens_thinking(prompt: str) -> bool:
    """Whether a rendered prompt ends inside a thought, as some templates do."""
    return prompt.rstrip().endswith(THINK)


def read(text: str, stop: str, thinking: bool = False) -> Reading:
    """Read one generation.

    Args:
        text: what the model wrote.
        stop: why it stopped; "length" means that it was cut.
        thinking: the prompt had opened a thought.
    """
    if unfinished(text, thinking):
        return Reading(None, text)
    answer = text.rpartition(END_THINK)[2]
    return Reading(None if stop == "length" else last_box(answer), answer)


def unfinished(text: str, thinking: bool = False) -> bool:
    """Whether a thought was not closed, or was begun again after it was closed."""
    _, closed, answer = text.rpartition(END_THINK)
    return THINK in answer or (thinking and not closed)


def last_box(text: str) -> str | None:
    r"""Content of the last non-empty `\boxed{...}`, with those just before it that are joined to it."""
    boxes = [box for box in _boxes(text) if not text[box[1] : box[2]].isspace() and box[1] < box[2]]
    if not boxes:
        return None
    joined = [boxes[-1]]
    for box in reversed(boxes[:-1]):
        if not _joins(text[box[3] : joined[-1][0]]):
            break
        joined.append(box)
    # the same box twice is one answer, said twice
    return ", ".join(dict.fromkeys(text[start:end].strip() for _, start, end, _ in reversed(joined)))


def _joins(between: str) -> bool:
    if len(between) > JOINT_LENGTH:
        return False
    return JOINT.fullmatch(TEXT.sub(r" \1 ", MARKUP.sub(" ", between))) is not None


def _boxes(text: str) -> list[tuple[int, int, int, int]]:
    r"""(start, start of the content, its end, end) of all boxes whose braces balance, outermost only, in one pass."""
    found: list[tuple[int, int, int, int]] = []
    opened: list[tuple[int, int, int]] = []  # (start, start of the content, depth outside)
    depth = 0
    for token in TOKEN.finditer(text):
        if token["brace"]:
            opened.append((token.start(), token.end(), depth))
            depth += 1
        elif token[0] == "{":
            depth += 1
        elif token[0] == "}":
            depth -= 1
            if opened and depth <= opened[-1][2]:
                start, content, depth = opened.pop()
                while found and found[-1][0] > start:
                    found.pop()
                found.append((start, content, token.start(), token.end()))
        elif not token[0].startswith(("\\{", "\\}")) and token[0] != "\\\\":
            bare = BARE.match(text, token.end())
            if bare:
                found.append((token.start(), *bare.span(), bare.end()))
    return found
