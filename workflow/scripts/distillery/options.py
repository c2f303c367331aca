"""Flags of commands that are keys of the configuration too: meaning, range and default are the schema's, and only there.

options.add(parser, "experiments.*.train", "lr", "min_lr", "lr_decay_style")
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any

from distillery import ranges, schema

METAVARS = {"integer": "N", "number": "X", "string": "TEXT"}


def add(parser: argparse._ActionsContainer, section: str, *keys: str, **own: Any) -> None:
    """Add the flag of each key: `train_iters` is `--train-iters`.

    Args:
        parser: or a group of one.
        section: the dotted key above the keys.
        own: what add_argument is told besides, in place of what the schema says.
    """
    for key in keys:
        parser.add_argument(f"--{key.replace('_', '-')}", **{**_described(section, key), **own})


def _described(section: str, key: str) -> dict[str, Any]:
    node = schema.at(f"{section}.{key}")
    text = " ".join(node["description"].split())
    if node.get("type") == "boolean":
        return {"action": "store_true", "help": _help(text)}
    given: dict[str, Any] = {"default": node.get("default")}
    if key in schema.at(section).get("required", []):
        given = {"required": True}
    elif given["default"] is not None:
        text = f"{text.removesuffix('.')} (default {given['default']})"
    given["help"] = _help(text)
    if "enum" in node:
        return given | {"choices": [one for one in node["enum"] if one is not None]}
    kind = next(one for one in METAVARS if one in node["type"])
    return given | {
        "metavar": METAVARS[kind],
        "type": _text(node) if kind == "string" else ranges.reader(node),
    }


def _help(text: str) -> str:
    return (text[0].lower() + text[1:] if text[1].islower() else text).removesuffix(".").replace("%", "%%")


def _text(node: dict[str, Any]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not re.search(node.get("pattern", ""), text):
            raise argparse.ArgumentTypeError(f"found {text!r}, wanted text of the form {node['pattern']}")
        return text

    return read
