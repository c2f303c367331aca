"""What Snakemake was told about the configuration on its command line, read as a file would be.

`--config NAME=VALUE` arrives as text all the way down: `experiments={small: {train: {lr: 3e-3}}}` holds '3e-3'.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from distillery import files, schema
from distillery.problems import UsageProblem

CONFIGFILE = ("--configfile", "--configfiles")
KINDS = {"integer": int, "number": (int, float), "boolean": bool, "null": type(None)}


def typed(config: Mapping[str, Any], given: Any) -> dict[str, Any]:
    """A configuration in which what `--config` gave has the schema's types; text that is none of them stays text.

    Args:
        config: what Snakemake made of files and `--config`.
        given: what `--config` gave, as Snakemake parsed it: mappings, lists and text.
    """
    return _typed(config, given, schema.schema())


def _typed(value: Any, given: Any, node: schema.Node) -> Any:
    node = schema.resolve(node)
    if isinstance(value, Mapping) and isinstance(given, Mapping):
        known, others = node.get("properties", {}), node.get("additionalProperties")
        below = {key: known.get(key, others if isinstance(others, dict) else {}) for key in given}
        if "sweep" in given and "train" in known:  # lists of values of dotted keys of the experiment
            below["sweep"] = {"properties": {key: _swept(node, key) for key in value["sweep"]}}
        return {
            key: _typed(one, given[key], below[key]) if key in given else one for key, one in value.items()
        }
    if value != given:
        return value
    if isinstance(value, list):
        return [_typed(one, one, node.get("items", {})) for one in value]
    return _read(value, node) if isinstance(value, str) else value


def _swept(experiment: schema.Node, dotted: str) -> schema.Node:
    node = experiment
    for key in dotted.split("."):
        node = schema.resolve(node.get("properties", {}).get(key, {}))
    return {"items": node}


def _read(text: str, node: schema.Node) -> Any:
    """What YAML finds in a text, if the key takes it; numbers also as 3e-3.

    A key that the schema does not know, of a model's config.json, takes anything.
    """
    if "enum" in node:
        return next((one for one in node["enum"] if str(one) == text), text)
    wanted = schema.listed(node.get("type", list(KINDS)))
    try:
        found = yaml.safe_load(text)
        if isinstance(found, str) and "number" in wanted:
            found = float(found)
    except (yaml.YAMLError, ValueError):
        return text
    fits = any(
        isinstance(found, KINDS[kind]) and isinstance(found, bool) == (kind == "boolean")
        for kind in wanted
        if kind in KINDS
    )
    return found if fits else text


def refuse_repeated(line: Sequence[str]) -> None:
    """See that all configuration files follow one `--configfile`: of a second Snakemake would take its files alone.

    Raises:
        UsageProblem: the line has several.
    """
    words = line[: line.index("--")] if "--" in line else line
    if sum(word.partition("=")[0] in CONFIGFILE for word in words) > 1:
        raise UsageProblem(
            "--configfile stands twice, and only the last one would be read",
            fix="name all files after one, those that change others last: --configfile a.yaml b.yaml",
        )


def words(configfiles: Sequence[str], given: Mapping[str, Any]) -> list[str]:
    """The words that give another Snakemake the same configuration.

    Args:
        configfiles: that were read, in their order.
        given: as in `typed`.
    """
    named = ["--configfile", *(files.from_here(Path(path)) for path in configfiles)] if configfiles else []
    values = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in given.items()]
    return named + (["--config", *values] if values else [])
