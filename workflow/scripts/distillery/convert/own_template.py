"""The chat template that a model came with, kept beside training's where a server would ask the same by either.

It may say more than a prompt type does: tools, say, or what becomes of earlier thoughts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distillery.json_files import Record
from distillery.problems import Problem
from distillery.tokenize import brought_template, limited_template
from distillery.tokenize.brought_template import Messages

# of no name that transformers or a server looks for: which of the two asks is its user's word
FILE = "chat_template.original.jinja"


def kept(side: Mapping[str, bytes], config: Record, record: Mapping[str, Any], where: object) -> str | None:
    """The Jinja text to keep; None where there is no other, or one that renders a prompt otherwise, or not at all.

    Prompts are compared with and without a system text and earlier turns, and with and without the opening of an answer.

    Args:
        side: {file name: content} of the original model; of an earlier stage's export it may hold what that kept.
        config: of its tokenizer_config.json.
        record: of training's template, as `export.side_files` takes it.
        where: names the original in messages.

    Raises:
        Problem: the original's is not UTF-8, or no text.
    """
    ours = record.get("chat_template")
    file = side.get(FILE, side.get(brought_template.FILE))
    own = brought_template.source(config, file, where)
    if ours is None or own is None or own == ours:
        return None
    special = {key: _text(value) for key, value in config.items() if key.endswith("_token") and _text(value)}
    special |= {"eos_token": record["eos_token"]}
    try:
        return own if _shown(own, special) == _shown(ours, special) else None
    except limited_template.Starved:  # no word about the template
        raise
    except Problem:  # it cannot be compiled, or takes too much: nobody could be asked by it
        return None


def _shown(source: str, special: Mapping[str, str]) -> list[Any]:
    template = limited_template.Template(source, FILE)

    def render(messages: Messages) -> list[str]:
        return [
            template.render(messages=messages, tools=None, add_generation_prompt=opened, **special)
            for opened in (True, False)
        ]

    return brought_template.probed(render)


def _text(value: Any) -> str | None:
    """The text of a special token, written as one or as an object."""
    content = value.get("content") if isinstance(value, Mapping) else value
    return content if isinstance(content, str) else None
