"""The handlers of the reference by their names, with `--map-keys` applied.

`--map-keys` says which columns (and, for ShareGPT, which roles) play which part:

    {"messages": "messages", "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", ...}}
    {"text": "body"}
    {"prompt": "notice", "query": "question", "response": "answer", "system": "system_test", "history": "histories"}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from distillery.dataset import PLAIN_TEXT
from distillery.problems import UsageProblem
from distillery.tokenize.alpaca import Alpaca
from distillery.tokenize.plain_text import PlainText
from distillery.tokenize.sharegpt import Sharegpt, Tags

Handler = Sharegpt | Alpaca | PlainText
HANDLERS: dict[str, Handler] = {
    "SharegptStyleInstructionHandler": Sharegpt(),
    "AlpacaStyleInstructionHandler": Alpaca(),
    PLAIN_TEXT: PlainText(),
}
NEEDED = {"messages": "no column of messages", "text": "no column of texts"}  # parts that no row can lack


def mapped(handler_name: str, map_keys: Mapping[str, Any] | None, thoughts: str | None = None) -> Handler:
    """The handler with `--map-keys` and `--thoughts` applied.

    Raises:
        UsageProblem: an unknown handler, part or tag, or tags that name no role or content key.
    """
    if handler_name not in HANDLERS:
        raise UsageProblem(
            "unknown handler",
            where="--handler-name",
            found=handler_name or "nothing",
            wanted=", ".join(HANDLERS),
        )
    handler = HANDLERS[handler_name]
    if isinstance(handler, Sharegpt):
        handler = replace(handler, thoughts=thoughts)
    if map_keys is None:
        return handler
    if not isinstance(map_keys, Mapping):
        raise UsageProblem("--map-keys is not a JSON object", found=map_keys)
    # parts of preference data are legal in the map and mean nothing here
    unused = {Sharegpt: ("chosen", "rejected", "kto_tag"), Alpaca: ("chosen", "rejected")}.get(
        type(handler), ()
    )
    known = [each.name for each in fields(handler) if each.name != "thoughts"]
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
    for part in NEEDED.keys() & settings.keys():
        if not settings[part]:
            raise UsageProblem(NEEDED[part], where=f"--map-keys, {part}", found=map_keys)
    return replace(handler, **settings)


def _check_names(kind: str, found: Mapping[str, Any], known: list[str]) -> None:
    for name in found:
        if name not in known:
            raise UsageProblem(
                f"unknown {kind} in --map-keys", where="--map-keys", found=name, wanted=", ".join(known)
            )
