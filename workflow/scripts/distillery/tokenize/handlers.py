"""Rows of a table to conversations: the ShareGPT and the Alpaca styles of the reference, and plain text.

`--map-keys` says which columns (and, for ShareGPT, which roles) play which part:

    {"messages": "messages", "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", ...}}
    {"prompt": "notice", "query": "question", "response": "answer", "system": "system_test", "history": "histories"}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from distillery.problems import UsageProblem
from distillery.tokenize.conversation import (
    ASSISTANT,
    FUNCTION,
    OBSERVATION,
    USER,
    Conversation,
    Message,
    Rejected,
)

Row = Mapping[str, Any]
PLAIN_TEXT = "GeneralPretrainHandler"
NULL_CONTENT = "messages without content were left out"
NULL_ROLE = "a message without a role became a function call"
NO_PAIRS = "history that is no pairs: the names of two keys, or two letters, became a turn"
SEVERAL_OUTPUTS = "several outputs: became an empty question and answer"


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

    def columns(self) -> list[str]:
        return [column for column in (self.messages, self.system, self.tools) if column]

    def convert(self, row: Row) -> Conversation:
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
            kept.append(Message(roles[role], text(content, f"message {position}")))
        if len(kept) % 2:
            raise Rejected("an odd number of messages", f"{len(kept)} with content")
        if not kept:
            raise Rejected("no message has content")
        if any(message.role == "system" for message in kept):
            raise Rejected("a message without a role")
        tools = row[self.tools] if self.tools else ""
        return Conversation(tuple(kept), _optional(system, "system"), tools, tuple(dict.fromkeys(notes)))


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

    def convert(self, row: Row) -> Conversation:
        """The row's conversation: earlier turns, then instruction and input as one user message.

        Raises:
            Rejected: no output, or a history that is not pairs.
        """
        messages: list[Message] = []
        notes: tuple[str, ...] = ()
        history = row[self.history] if self.history else None
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
        return Conversation(tuple(messages), _optional(system, "system"), "", notes)


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


def _optional(value: Any, where: str) -> str | None:
    return None if value is None else text(value, where)


HANDLERS: dict[str, Sharegpt | Alpaca] = {
    "SharegptStyleInstructionHandler": Sharegpt(),
    "AlpacaStyleInstructionHandler": Alpaca(),
}


def mapped(handler_name: str, map_keys: Mapping[str, Any] | None) -> Sharegpt | Alpaca:
    """The handler with `--map-keys` applied.

    Raises:
        UsageProblem: an unknown handler, part or tag, or tags that name no role or content key.
    """
    if handler_name not in HANDLERS:
        raise UsageProblem(
            "unknown handler",
            where="--handler-name",
            found=handler_name or "nothing",
            wanted=", ".join([*HANDLERS, PLAIN_TEXT]),
        )
    handler = HANDLERS[handler_name]
    if map_keys is None:
        return handler
    if not isinstance(map_keys, Mapping):
        raise UsageProblem("--map-keys is not a JSON object", found=map_keys)
    # parts of preference data are legal in the map and mean nothing here
    unused = ("chosen", "rejected") if isinstance(handler, Alpaca) else ("chosen", "rejected", "kto_tag")
    known = [each.name for each in fields(handler)]
    _check_names("part", map_keys, [*known, *unused])
    settings = {key: value for key, value in map_keys.items() if key in known}
    for key, value in settings.items():
        if key != "tags" and value is not None and not isinstance(value, str):
            raise UsageProblem("a part is not the name of a column", where=f"--map-keys, {key}", found=value)
    if "tags" in settings:
        tags = settings["tags"]
        if not isinstance(tags, Mapping):
            raise UsageProblem("tags is not a JSON object", where="--map-keys, tags", found=tags)
        names = [each.name for each in fields(Tags)]
        _check_names("tag", tags, names)
        # as in the reference: with "tags" given, each tag that is not named there means no such role
        settings["tags"] = Tags(**{name: tags.get(name) for name in names})
        if not (tags.get("role_tag") and tags.get("content_tag")):
            raise UsageProblem(
                "tags must say which keys hold role and content",
                where="--map-keys, tags",
                found=", ".join(tags),
                wanted="role_tag and content_tag",
            )
    if isinstance(handler, Sharegpt) and not settings.get("messages", handler.messages):
        raise UsageProblem("no column of messages", where="--map-keys, messages", found=map_keys)
    return replace(handler, **settings)


def _check_names(kind: str, found: Mapping[str, Any], known: list[str]) -> None:
    for name in found:
        if name not in known:
            raise UsageProblem(
                f"unknown {kind} in --map-keys", where="--map-keys", found=name, wanted=", ".join(known)
            )
