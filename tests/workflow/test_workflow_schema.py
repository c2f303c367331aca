"""The schema itself: nothing in it is misspelt, undescribed or without a range."""

from __future__ import annotations

import argparse
import importlib
import math
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from places import SCRIPTS

from distillery import config_faults, ranges, schema
from distillery.train import train_flags

sys.path.insert(0, str(SCRIPTS))


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
    assert len(text) > 8 and text.endswith("."), text
    assert "default" not in text, "a default stands under `default:`, once"


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


# where a command's flags are keys, and where a flag that is left out means something else by hand
COMMANDS = {
    "posttrain_gpt": (
        ["experiments.*.train", "hardware.*"],
        {"global_batch_size": "as Megatron, what is there", "lr_warmup_fraction": "none"}
        | train_flags.MEGATRONS,
    ),
    "inference": (
        ["experiments.*.generate", "hardware.*"],
        {
            "task": "must be chosen, for the reference runs all five",
            "threads": "all of the machine",
        },
    ),
    "preprocess_data": (
        ["experiments.*.tokenize", "datasets.*"],
        {
            "handler_name": "as the reference, plain text",
            "map_keys": "the handler's own",
            "max_rejected_share": "as the reference, no limit",
        },
    ),
    "launch": (
        ["hardware.*", "hardware.*.msrun"],
        {"bind_core": "a switch is off", "grace": "a minute, as for answers"},
    ),
    "fetch_model": (["models.*.hub"], {}),
    "fetch_path": (["models.*.path", "datasets.*.source.path"], {}),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_commands_defaults_and_ranges_are_the_schemas(command):
    sections, by_hand = COMMANDS[command]
    parser = importlib.import_module(command).parser()
    known = {action.dest: action for action in parser._actions}
    seen = set()
    for section in sections:
        for key in schema.at(section)["properties"]:
            node, flag = schema.at(f"{section}.{key}"), known.get(key)
            if flag is None or flag.help == argparse.SUPPRESS or "properties" in node:
                continue
            seen.add(key)
            if "default" in node and key not in by_hand:
                assert flag.default == node["default"], key
            if (f"{section}.{key}") in NUMBERS and key != "save_interval":  # 0 by hand: only at the end
                low = node.get("minimum", node.get("exclusiveMinimum"))
                with pytest.raises(argparse.ArgumentTypeError, match="wanted a"):
                    flag.type(str(low - 1))
                with pytest.raises(argparse.ArgumentTypeError, match="wanted a"):
                    flag.type("nan")
    assert seen >= by_hand.keys()


def test_nonsense_is_refused_by_hand_too(capsys):
    for command, words in {
        "posttrain_gpt": "--seq-length 1",
        "inference": "--temperature 1e-9",
        "preprocess_data": "--seq-length 1",
    }.items():
        with pytest.raises(SystemExit, match="2"):
            importlib.import_module(command).parser().parse_args(words.split())
        flag, value = words.split()
        assert f"argument {flag}: found {value!r}, wanted" in capsys.readouterr().err


def test_models_datasets_and_problem_sets_say_where_their_files_are_in_one_vocabulary():
    """Before sources were general there were seven words: champ and gguf, but no wheel."""
    parts = schema.schema()["$defs"]
    dataset = parts["dataset"]["properties"]["source"]["properties"]
    problems = {one["required"][0] for one in parts["problem_set"]["oneOf"]}
    made, places = {"random", "generator"}, {"hub", "url", "path", "wheel"}
    assert dataset.keys() | problems | parts["model"]["properties"].keys() == made | places | {"teacher"}
    assert problems == dataset.keys() - {"teacher"} == {"generator", *places}
    # in each place files are chosen by the same word
    assert all("files" in dataset[place]["properties"] for place in places)
    assert "files" in parts["model"]["properties"]["wheel"]["properties"]
