"""Content that spells a token: the tokenizer reads `<|im_end|>` in a problem as the end of the message."""

from __future__ import annotations

import os.path
import re
from dataclasses import replace

from distillery.tokenize.conversation import ASSISTANT, FUNCTION, Conversation, Message, Rejected
from distillery.tokenize.tokenizer import HubTokenizer

SPELT = "text that spells a special token"
ESCAPED = "text that spelt a special token was escaped"


class SpecialText:
    """Notes, escapes or rejects such content.

    What is looked for in answers are the special tokens alone: thoughts and calls are written with added tokens that
    are not special (<think>, <tool_call>), and are meant. System, tools and questions may spell no added token at all.
    """

    def __init__(self, tokenizer: HubTokenizer, policy: str) -> None:
        """What is looked for in a tokenizer's texts, and what happens then.

        Args:
            policy: "keep" (the text becomes the token, as in the reference), "escape" or "reject".
        """
        self.policy = policy
        self.special = list(tokenizer.special_tokens())
        # Gemma's vocabulary has runs of spaces and line ends as added tokens: they change nothing
        self.added = [token for token in tokenizer.added_tokens() if token.strip()]
        # an expression is found in half the time that `in` takes for a text as short as <|
        self.beginning = re.compile(re.escape(os.path.commonprefix(self.special)))

    def apply(self, conversation: Conversation) -> Conversation:
        """The conversation as the policy leaves it.

        Raises:
            Rejected: such content is there, and the policy is "reject".
        """
        tools = conversation.tools if isinstance(conversation.tools, str) else ""
        found = [*self._spelt(conversation.system or ""), *self._spelt(tools)]
        for role, content in conversation.messages:
            found += self._spelt(content, role)
        if not found:
            return conversation
        if self.policy == "reject":
            raise Rejected(SPELT, " ".join(dict.fromkeys(found)))
        if self.policy == "keep":
            return replace(conversation, notes=(*conversation.notes, SPELT))
        return Conversation(
            tuple(Message(role, self._escaped(content, role)) for role, content in conversation.messages),
            self._escaped(conversation.system or ""),
            self._escaped(tools),
            (*conversation.notes, ESCAPED),
        )

    def _spelt(self, text: str, role: str | None = None) -> list[str]:
        if role not in (ASSISTANT, FUNCTION):
            return [token for token in self.added if token in text]
        if not self.beginning.search(text):
            return []
        return [token for token in self.special if token in text]

    def _escaped(self, text: str, role: str | None = None) -> str:
        """A space after the first character of each such text: readable, and no token any more."""
        for token in self._spelt(text, role):
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return text
