"""Rows of plain text that are learnt whole; what `GeneralPretrainHandler` of the reference reads, with labels.

A text is an answer to no question: a conversation of one message, which prompt types render as it is, with their end behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distillery.tokenize.conversation import ASSISTANT, Conversation, Message, Rejected, text

EMPTY_TEXT, BLANK_TEXT = "empty text", "a text of white space alone"


@dataclass(frozen=True)
class PlainText:
    """A column of texts; `GeneralPretrainHandler`."""

    text: str = "text"

    def columns(self) -> list[str]:
        return [self.text]

    def convert(self, row: Mapping[str, Any]) -> Conversation:
        """The row's text.

        Raises:
            Rejected: it is empty, or no text.
        """
        content = text(row[self.text], self.text)
        if not content:
            raise Rejected(EMPTY_TEXT)
        return Conversation((Message(ASSISTANT, content),), notes=(BLANK_TEXT,) * content.isspace())
