"""The schema itself: nothing in it is misspelt, undescribed or without a range."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from distillery import config_faults, ranges, schema


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


LEAVES = dict(schema.leaves())
NUMBERS = {path: node for path, node in LEAVES.items() if re.search("integer|number", str(node.get("type")))}


@pytest.mark.parametrize("path", LEAVES)
def test_every_key_has_a_description(path):
    """Of its own, in sentences, with a unit in it where it is a number without a dimension of its own."""
    text = " ".join(LEAVES[path].get("description", "").split())
    assert len(text) > 8 and text.endswith(".") and not text.startswith("#"), text


@pytest.mark.parametrize("path", NUMBERS)
def test_every_number_has_a_range(path):
    node = NUMBERS[path]
    assert {"minimum", "exclusiveMinimum"} & node.keys(), node
    if "default" in node:
        assert ranges.holds(node["default"], node)


def test_what_holds_keys_is_described_too():
    silent = [
        path
        for path, node in subschemas(schema.schema())
        if "properties" in node and "description" not in node
    ]
    assert silent == []


def test_a_reference_gives_way_to_what_stands_beside_it():
    own, shared = schema.at("experiments.*.train.seed"), schema.schema()["$defs"]["seed"]
    assert own["description"] != shared["description"] and own["maximum"] == shared["maximum"]


@given(st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(2**70), 2**70))
def test_a_range_holds_what_the_validator_lets_pass(value):
    """But for numbers that are none, which JSON does not have."""
    for within in NUMBERS.values():
        bounds = {key: bound for key, bound in within.items() if key in config_faults.RANGES}
        passes = Draft202012Validator(bounds).is_valid(value)
        assert ranges.holds(value, within) == (math.isfinite(value) and passes)
