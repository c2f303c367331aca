"""The schema of configurations: where each key's meaning, range and default stand, once.

    schema.default("experiments.*.train.lr_decay_style")  # 'cosine'

Commands read their flags' ranges and defaults from here too (`options`), so that nothing heavy is imported.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

SCHEMA_FILE = Path(__file__).resolve().parents[2] / "schemas" / "config.schema.yaml"
Node = dict[str, Any]


@functools.cache
def schema() -> Node:
    """The whole JSON schema."""
    # read at every start of Snakemake: libyaml's loader, where PyYAML has it, takes a tenth of the time
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(SCHEMA_FILE.read_text(encoding="utf-8"), loader)


def listed(value: Any) -> list[Any]:
    """The value of a key that takes one text or a list of them, as a list."""
    return [value] if isinstance(value, str) else list(value)


def datasets(value: Any) -> list[dict[str, Any]]:
    """The value of an experiment's `dataset`, a name or a list of parts, as a list of parts: a name is one of the whole."""
    return [{"name": value}] if isinstance(value, str) else list(value)


def resolve(node: Node) -> Node:
    """A node with what its `$ref` names; what stands beside the reference goes first."""
    while "$ref" in node:
        beside = {key: value for key, value in node.items() if key != "$ref"}
        node = {**schema()["$defs"][node["$ref"].rpartition("/")[2]], **beside}
    return node


@functools.cache
def at(path: str) -> Node:
    """The node of a dotted key, `*` for a name of the user's: `experiments.*.train.lr`.

    Raises:
        KeyError: there is no such key.
    """
    node = resolve(schema())
    for key in path.split("."):
        node = resolve(node["additionalProperties"] if key == "*" else node["properties"][key])
    return node


def default(path: str) -> Any:
    """A dotted key's default.

    Raises:
        KeyError: there is no such key, or it has none.
    """
    return at(path)["default"]


def leaves(node: Node | None = None, path: str = "") -> Iterator[tuple[str, Node]]:
    """(dotted key, node) of every key that holds a value, not further keys."""
    node = resolve(schema() if node is None else node)
    children = dict(node.get("properties", {}))
    if isinstance(named := node.get("additionalProperties"), dict) and "properties" in resolve(named):
        children["*"] = named
    for key, child in children.items():
        yield from leaves(child, f"{path}.{key}" if path else key)
    if not children:
        yield path, node


def with_defaults(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A deep copy of `raw` with every default in place and known keys in the schema's order.

    The order makes whatever is built from the result independent of the order in the file, and so does one form of
    equal numbers: 1 and 1.0 are both taken where a number is wanted, 2.0 is taken as 2 where an integer is.
    """
    return _filled(raw, schema())


def _filled(value: Any, node: Node) -> Any:
    node = resolve(node)
    if isinstance(value, list) and "items" in node:
        return [_filled(one, node["items"]) for one in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number(value, node.get("type", ()))
    if not isinstance(value, dict):
        return copy.deepcopy(value)
    known, others = node.get("properties", {}), node.get("additionalProperties")
    result = {
        key: _filled(value[key] if key in value else whole["default"], whole)
        for key, child in known.items()
        for whole in [resolve(child)]
        if key in value or "default" in whole
    }
    for key in value:
        if key not in known:
            result[key] = _filled(value[key], others if isinstance(others, dict) else {})
    return result


def _number(value: float, kinds: str | list[str]) -> float:
    if "integer" in kinds and (isinstance(value, int) or value.is_integer()):
        return int(value)
    if "number" in kinds and abs(value) < 2**53:
        return float(value)
    return value
