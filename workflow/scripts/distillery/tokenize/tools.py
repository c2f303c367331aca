"""Tool signatures in the system text, and function calls as answers, in the reference's wordings.

Tool styles: `default` (the wording in templates.json), `ignored` (the reference has no formatter for it and
renders nothing), `broken` (the reference crashes: such rows are rejected).
Function styles: `action` (`{{name}}` and `{{arguments}}` in the slot), `tool_call_tags` (JSON in tags), `broken`.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

from distillery import json_files
from distillery.marks import END_THINK, THINK
from distillery.tokenize import conversation
from distillery.tokenize.conversation import Rejected

_THOUGHT = re.compile(f"{THINK}(.*){END_THINK}", re.DOTALL)


def describe(signatures: object, style: str) -> str:
    """Text for the system prompt from the JSON text of tool signatures; "" where they cannot be read.

    Raises:
        Rejected: the reference has no working tool format for this prompt type; text without a UTF-8 form.
    """
    if not signatures:
        return ""
    if style == "broken":
        raise Rejected("tools in a prompt type without a tool format")
    if style == "ignored":
        return ""
    try:
        text = _default(json_files.loads(signatures))  # type: ignore[arg-type]
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, RecursionError):
        return ""
    return conversation.text(text, "tools")  # escapes within the JSON text


def _default(signatures: Any) -> str:
    if not signatures:
        return ""
    words = _wording()
    listed, names = "", []
    for tool in signatures:
        parameters = tool["parameters"]
        arguments = ""
        for name, schema in parameters["properties"].items():
            allowed, items = schema.get("enum"), schema.get("items")
            arguments += words["argument"].format(
                name=name,
                type=schema.get("type", ""),
                required=words["required"] if name in parameters.get("required", []) else "",
                description=schema.get("description", ""),
                enum=words["enum"].format(values=", ".join(allowed)) if allowed else "",
                items=words["items"].format(type=items.get("type", "")) if items else "",
            )
        listed += words["tool"].format(
            name=tool["name"], description=tool.get("description", ""), arguments=arguments
        )
        names.append(tool["name"])
    return words["prompt"].format(tools=listed, names=", ".join(names))


@functools.cache
def _wording() -> dict[str, str]:
    data = json.loads(Path(__file__).with_name("templates.json").read_text(encoding="utf-8"))
    return data["tool_prompts"]["default"]


def call(slots: tuple, content: str, style: str) -> list:
    """The pieces of a function call.

    Raises:
        Rejected: a call that the reference crashes on; text without a UTF-8 form.
    """
    if style == "broken":
        raise Rejected("function call in a prompt type without a tool format")
    if style == "tool_call_tags":
        text = _tagged(content)
        return [slot.replace("{{content}}", text, 1) if isinstance(slot, str) else slot for slot in slots]
    try:
        function = json_files.loads(content)
        name, arguments = function["name"], json.dumps(function["arguments"], ensure_ascii=False)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        name, arguments = "", ""
    if not isinstance(name, str):
        raise Rejected("function call whose name is not a text", repr(name))
    conversation.text(name + arguments, "a function call")
    return [
        slot.replace("{{name}}", name).replace("{{arguments}}", arguments) if isinstance(slot, str) else slot
        for slot in slots
    ]


def _tagged(content: str) -> str:
    thought = _THOUGHT.search(content)
    spoken = content.replace(thought.group(0), "") if thought else content
    try:
        calls = json_files.loads(spoken)
        listed = [
            json.dumps({"name": each["name"], "arguments": each["arguments"]}, ensure_ascii=False)
            for each in (calls if isinstance(calls, list) else [calls])
        ]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise Rejected("function call that is not JSON of name and arguments", str(error)) from None
    text = conversation.text(
        "\n".join(f"<tool_call>\n{each}\n</tool_call>" for each in listed), "a function call"
    )
    return thought.group(0) + text if thought else text
