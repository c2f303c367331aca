"""The chat template that a model brings along: where it stands, and what it makes of conversations that tell templates apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from distillery.json_files import Record
from distillery.problems import Problem
from distillery.tokenize.conversation import Rejected

FILE = "chat_template.jinja"
Messages = Sequence[Mapping[str, str]]
Rendered = TypeVar("Rendered")

# what two templates must render alike to be the same: with and without system text and history, of which some leave thoughts out
TALK = (
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "1 + 1?"},
    {"role": "assistant", "content": "<think>\nOne more.\n</think>\n\n2"},
    {"role": "user", "content": "2 + 2?"},
)
PROBES = (TALK, TALK[:2], TALK[1:], TALK[1:2])


def source(config: Record, file: bytes | None, where: object) -> str | None:
    """A tokenizer's Jinja text; None where it has none.

    Args:
        config: of tokenizer_config.json, whose chat_template is a text, or a list of texts by name.
        file: chat_template.jinja, which goes before that.
        where: names the file in messages.

    Raises:
        Problem: not UTF-8, or no text.
    """
    if file is not None:
        try:
            return file.decode()
        except UnicodeDecodeError as error:
            raise Problem("not UTF-8", where=f"{where}, byte {error.start}", fix="fetch it again") from None
    found = config.get("chat_template")
    if isinstance(found, list):  # several by name
        entries = config.records("chat_template")
        found = {entry.typed("name", str): entry.typed("template", str) for entry in entries}.get("default")
    if found and not isinstance(found, str):
        raise Problem(
            "a value that cannot be used",
            where=f"{config.where}, chat_template",
            found=repr(found)[:200],
            wanted="a text, or a list of texts by name",
        )
    return found or None


def probed(render: Callable[[Messages], Rendered]) -> list[Rendered | None]:
    """What each of the conversations is rendered to; None where it is refused."""
    found: list[Rendered | None] = []
    for messages in PROBES:
        try:
            found.append(render(messages))
        except Rejected:
            found.append(None)
    return found
