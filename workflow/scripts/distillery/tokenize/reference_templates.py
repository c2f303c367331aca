"""Prompt types as MindSpeed-LLM writes them in its templates.json, in the words of ours.

A slot there is a text, `{"token": t}` or `["bos_token"]`; a part is `{"slots": [...]}`.
"""

from __future__ import annotations

from typing import Any

PARTS = ("prefix", "system", "user", "assistant", "function", "observation", "separator")
SAME = ("stop_words", "efficient_eos", "replace_eos")
CLASSES = {"Llama2Template": {"system_in_user": True}, "ReasoningTemplate": {"reasoning": True}}
# to these names version 2.2.0 gives formatters that know the tool formats "qwen3" (its file says "qwen") and "ling"
THINKING = ("qwen3", "bailing_mini")


def translated(entries: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """{name: entry as in our templates.json}.

    Raises:
        KeyError, TypeError: an entry that is not of that kind.
    """
    made = {entry["name"]: _entry(entry) for entry in entries}
    if not all(isinstance(name, str) for name in made):
        raise TypeError("a name that is no text")
    return made


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    system = entry.get("default_system", "")
    made = {"default_system": system if isinstance(system, str) else "".join(system)}
    made |= {key: entry[key] for key in SAME if key in entry}
    made |= CLASSES.get(entry.get("template_class", ""), {})
    for part in PARTS:
        if slots := (entry.get(f"format_{part}") or {}).get("slots"):
            made[part] = [
                {"special": slot[0].removesuffix("_token")} if isinstance(slot, list) else slot
                for slot in slots
            ]
    tools, calls = (
        (entry.get(f"format_{part}") or {}).get("tool_format", "default") for part in ("tools", "function")
    )
    if entry["name"] in THINKING:
        made |= {"tools": "broken", "function_calls": "tool_call_tags" if calls == "ling" else "broken"}
    elif tools != "default":
        made["tools"] = "ignored"
    return made
