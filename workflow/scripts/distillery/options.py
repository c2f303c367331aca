"""Flags of commands that are keys of the configuration too: meaning, range and default are the schema's, and only there.

options.add(parser, "experiments.*.train", "lr", "min_lr", "lr_decay_style")
parser.add_argument("--device-target", **options.of("hardware.*.device"))
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any

from distillery import json_files, ranges, schema

METAVARS = {"integer": "N", "number": "X", "string": "TEXT", "object": "JSON"}


def add(parser: argparse._ActionsContainer, section: str, *keys: str, **own: Any) -> None:
    """Add the flag of each key: `train_iters` is `--train-iters`.

    Args:
        parser: or a group of one.
        section: the dotted key above the keys.
        own: what add_argument is told in place of what the schema says.
    """
    for key in keys:
        parser.add_argument(f"--{key.replace('_', '-')}", **of(f"{section}.{key}", **own))


def of(path: str, **own: Any) -> dict[str, Any]:
    """What add_argument is to be told of a dotted key; `own` replaces what the schema says."""
    return _of(path, own) | own


def number(path: str) -> Callable[[str], Any]:
    """The argparse type of a flag that takes a number as a key does, though it is called otherwise."""
    return ranges.reader(schema.at(path))


def _of(path: str, own: dict[str, Any]) -> dict[str, Any]:
    section, _, key = path.rpartition(".")
    node = schema.at(path)
    text = " ".join(node["description"].split()).removesuffix(".")
    if node.get("type") == "boolean":
        return {"action": "store_true", "help": _help(text)}
    if key in schema.at(section).get("required", []):
        given = {"required": True, "help": _help(text)}
    else:
        default = own.get("default", node.get("default"))
        said = "" if default in (None, {}) else f" (default {default})"
        given = {"default": default, "help": _help(text + said)}
    if "enum" in node:
        return given | {"choices": [one for one in node["enum"] if one is not None]}
    kind = next(one for one in METAVARS if one in node["type"])
    return given | {
        "metavar": METAVARS[kind],
        "type": _text(node) if kind == "string" else _json if kind == "object" else ranges.reader(node),
    }


def _json(text: str) -> dict[str, Any]:
    try:
        value = json_files.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"found {text!r}, wanted a JSON object: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"found {text!r}, wanted a JSON object")
    return value


def _help(text: str) -> str:
    # a flag's help begins with a small letter, but for names such as CPU
    first = text.split(maxsplit=1)[0]
    small = text[0].lower() + text[1:] if first[1:].islower() else text
    return small.replace("%", "%%")


def _text(node: schema.Node) -> Callable[[str], str]:
    pattern = node.get("pattern", "")

    def read(text: str) -> str:
        if not re.search(pattern, text):
            raise argparse.ArgumentTypeError(f"found {text!r}, wanted text of the form {pattern}")
        return text

    return read
