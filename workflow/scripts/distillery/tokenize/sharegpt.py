"""Rows with a list of messages to conversations, as `SharegptStyleInstructionHandler` of the reference does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distillery.marks import END_THINK, THINK
from distillery.tokenize.conversation import (
    ASSISTANT,
    FUNCTION,
    OBSERVATION,
    USER,
    Conversation,
    Message,
    Rejected,
    optional,
    text,
)

NULL_CONTENT = "messages without content were left out"
NULL_ROLE = "a message without a role became a function call"
REASONING = "reasoning_content"  # an answer's thoughts, as the chat interfaces of OpenAI's kind name them
LOST_THOUGHT = f"{REASONING} was left out"
JOIN = "join"


@dataclass(frozen=True)
class Tags:
    """Names of the two keys of a ShareGPT message, and of the roles. None: no such role."""

    role_tag: str | None = "from"
    content_tag: str | None = "value"
    user_tag: str | None = "human"
    assistant_tag: str | None = "gpt"
    observation_tag: str | None = "observation"
    function_tag: str | None = "function_call"
    system_tag: str | None = "system"


@dataclass(frozen=True)
class Sharegpt:
    """A column of messages; `SharegptStyleInstructionHandler`."""

    messages: str = "conversations"
    system: str | None = None
    tools: str | None = None
    tags: Tags = Tags()
    thoughts: str | None = None  # JOIN: those in a field of their own go before the answer

    def columns(self) -> list[str]:
        return [column for column in (self.messages, self.system, self.tools) if column]

    def convert(self, row: Mapping[str, Any]) -> Conversation:
        """The row's conversation.

        Raises:
            Rejected: no messages, a role out of turn, or an odd number of them.
        """
        tags, messages = self.tags, row[self.messages]
        if not isinstance(messages, Sequence) or isinstance(messages, str):
            raise Rejected("messages is not a list", repr(messages)[:200])
        if not messages:
            raise Rejected("no messages")
        if not all(isinstance(message, Mapping) for message in messages):
            raise Rejected("a message is not a record of role and content", repr(messages)[:200])
        if tags.system_tag and messages[0].get(tags.role_tag) == tags.system_tag:
            system, messages = messages[0].get(tags.content_tag), messages[1:]
        else:
            system = row[self.system] if self.system else ""
        if not messages:
            raise Rejected("no messages but the system's")
        # a later entry replaces an earlier one of the same name: roles that are None end up as the last of them
        roles: dict[str | None, str] = {
            tags.user_tag: USER,
            tags.assistant_tag: ASSISTANT,
            tags.observation_tag: OBSERVATION,
            tags.function_tag: FUNCTION,
            tags.system_tag: "system",
        }
        allowed = ((tags.user_tag, tags.observation_tag), (tags.assistant_tag, tags.function_tag))
        notes: list[str] = []
        kept: list[Message] = []
        for position, message in enumerate(messages):
            role, content = message.get(tags.role_tag), message.get(tags.content_tag)
            if role not in allowed[position % 2]:
                wanted = " or ".join(str(tag) for tag in allowed[position % 2] if tag is not None)
                raise Rejected("a role out of turn", f"message {position}: found {role!r}, wanted {wanted}")
            if content is None:
                notes.append(NULL_CONTENT)
                continue
            if role is None:
                notes.append(NULL_ROLE)
            content = text(content, f"message {position}")
            if thought := message.get(REASONING):
                if self.thoughts == JOIN and THINK not in content:
                    content = f"{THINK}\n{text(thought, REASONING).strip()}\n{END_THINK}\n\n{content}"
                elif thought not in content:
                    notes.append(LOST_THOUGHT)
            kept.append(Message(roles[role], content))
        if len(kept) % 2:
            raise Rejected("an odd number of messages", f"{len(kept)} with content")
        if not kept:
            raise Rejected("no message has content")
        if any(message.role == "system" for message in kept):
            raise Rejected("a message without a role")
        tools = row[self.tools] if self.tools else ""
        return Conversation(tuple(kept), optional(system, "system"), tools, tuple(dict.fromkeys(notes)))
