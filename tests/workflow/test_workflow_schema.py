"""The schema itself: nothing in it is misspelt, undescribed or without a range."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator

from distillery import schema


def subschemas(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The root and every schema below it, with where it stands."""
    yield path, node
    for holder in ("properties", "$defs"):
        for key, child in node.get(holder, {}).items():
            yield from subschemas(child, f"{path}/{holder}/{key}")
    for holder in ("additionalProperties", "items", "propertyNames"):
        if isinstance(node.get(holder), dict):
            yield from subschemas(node[holder], f"{path}/{holder}")


def test_only_known_keywords():
    """A comma in an unquoted flow mapping ends the text and begins a key, which a validator passes over."""
    annotations = {"$schema", "$defs", "title", "description", "default"}
    known = annotations | set(Draft202012Validator.VALIDATORS)
    unknown = [(path, key) for path, node in subschemas(schema.schema()) for key in node if key not in known]
    assert unknown == []


def test_the_schema_is_one():
    Draft202012Validator.check_schema(schema.schema())
