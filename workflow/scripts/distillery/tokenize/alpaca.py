"""Rows with a column for each part to conversations, as `AlpacaStyleInstructionHandler` of the reference does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distillery import json_files
from distillery.tokenize.conversation import (
    ASSISTANT,
    USER,
    Conversation,
    Message,
    Rejected,
    optional,
    text,
)

NO_PAIRS = "history that is no pairs: the names of two keys, or two letters, became a turn"
SEVERAL_OUTPUTS = "several outputs: became an empty question and answer"
HISTORY_TEXT = "history that is a text and no list of pairs was left out"


@dataclass(frozen=True)
class Alpaca:
    """Columns instruction, input, output; `AlpacaStyleInstructionHandler`. None: no such column."""

    prompt: str | None = "instruction"
    query: str | None = "input"
    response: str | None = "output"
    history: str | None = None
    system: str | None = None

    def columns(self) -> list[str]:
        parts = (self.prompt, self.query, self.response, self.history, self.system)
        return [column for column in parts if column]

    def convert(self, row: Mapping[str, Any]) -> Conversation:
        """The row's conversation: earlier turns, then instruction and input as one user message.

        Raises:
            Rejected: no output, or a history that is not pairs.
        """
        messages: list[Message] = []
        notes: tuple[str, ...] = ()
        history = row[self.history] if self.history else None
        if isinstance(history, str):
            history, notes = _pairs(history)
        if isinstance(history, (Sequence, Mapping)) and not isinstance(history, str):
            for pair in history:
                if not isinstance(pair, (Sequence, Mapping)) or len(pair) != 2:
                    raise Rejected("history is not a list of pairs", repr(pair)[:200])
                if isinstance(pair, (str, Mapping)):
                    notes = (NO_PAIRS,)
                asked, answered = pair
                messages.append(Message(USER, text(asked, "history")))
                messages.append(Message(ASSISTANT, text(answered, "history")))
        parts = [row[column] for column in (self.prompt, self.query) if column and row[column]]
        question = "\n".join(text(part, "instruction or input") for part in parts)
        answer = row[self.response] if self.response else None
        if isinstance(answer, Sequence) and not isinstance(answer, str):
            if not answer:
                raise Rejected("no output")
            if len(answer) > 1:
                messages, question, answer, notes = [], "", [""], (SEVERAL_OUTPUTS,)
            answer = answer[0]
        elif not isinstance(answer, str):
            raise Rejected("no output" if answer is None else "output is not a text", repr(answer)[:200])
        messages += [Message(USER, question), Message(ASSISTANT, text(answer, "output"))]
        system = row[self.system] if self.system else ""
        return Conversation(tuple(messages), optional(system, "system"), "", notes)


def _pairs(history: str) -> tuple[Any, tuple[str, ...]]:
    """A history that a CSV cell holds as JSON; (None, a note) where it is none. The reference drops either silently."""
    try:
        value = json_files.loads(history or "[]")
    except ValueError:
        value = None
    return (value, ()) if isinstance(value, list) else (None, (HISTORY_TEXT,))
