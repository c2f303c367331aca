"""One training example between a handler and a template, and the two ways in which it can be odd.

A row that cannot become an example is `Rejected` and goes to quarantine. A row that the reference keeps
although something about it is doubtful stays, and says so in `notes` (rejected too under --strict).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

USER, ASSISTANT, OBSERVATION, FUNCTION = "user", "assistant", "observation", "function"


class Message(NamedTuple):
    """A turn: `role` is USER, ASSISTANT, OBSERVATION (a tool's reply) or FUNCTION (a call of a tool)."""

    role: str
    content: str


@dataclass(frozen=True)
class Conversation:
    """Messages alternating between source (even positions) and target (odd positions), or one text that is learnt whole.

    Attributes:
        system: None or "" stands for the template's default.
        tools: JSON text of the tools' signatures; None or "" for none.
        notes: what a reader of the manifest should know about this row.
    """

    messages: tuple[Message, ...]
    system: str | None = None
    tools: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether this is one text, an answer to no question."""
        return len(self.messages) == 1 and self.messages[0].role == ASSISTANT


class Rejected(Exception):
    """A row that cannot be used. `reason` is a short fixed phrase that is counted, `detail` shows the row's own."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


def text(value: Any, where: str) -> str:
    """`value` if it is a text that has a UTF-8 form.

    Raises:
        Rejected: it is not.
    """
    if not isinstance(value, str):
        raise Rejected("content is not a text", f"{where}: {value!r}"[:200])
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Rejected("content is not valid Unicode", f"{where}: a lone surrogate") from None
    return value


def optional(value: Any, where: str) -> str | None:
    """`value` as `text`, or None."""
    return None if value is None else text(value, where)


def ends(made: Conversation) -> tuple[str, str]:
    """(the first question, the last answer), each "" where there is none; a text has no answer."""
    if made.is_text:
        return made.messages[0].content, ""
    question = next((message.content for message in made.messages if message.role == USER), "")
    answers = [message.content for message in made.messages if message.role == ASSISTANT]
    return question, answers[-1] if answers else ""
