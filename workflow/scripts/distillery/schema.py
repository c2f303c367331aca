"""Check a configuration against its JSON schema, and fill in the defaults.

All faults are found at once; each names the key's path, what was found and what is allowed.
"""

from __future__ import annotations

import copy
import difflib
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError

SCHEMA_FILE = Path(__file__).resolve().parents[2] / "schemas" / "config.schema.yaml"

# keys that there were, `*` for a name of the user's: what to write now
REMOVED = {
    "experiments.*.engine": "write train.engine; every stage names its own engine",
    "experiments.*.export": "leave it out; the export reads weights of any layout",
    "experiments.*.train.finetune": "leave it out; a first start reads weights alone, a later one the whole state",
    "experiments.*.train.no_load_optim": "leave it out; a first start reads weights alone, a later one the whole state",
    "experiments.*.train.num_layers_per_virtual_pipeline_stage": "write layout.pipeline_parallel_size, and"
    " layout.num_layer_list where stages differ; weights are converted for plain stages",
    "hardware.*.msrun.join": "leave it out; the launcher always waits for its workers and ends with their status",
    "hardware.*.msrun.tee": "leave it out; the launcher keeps each rank's log and shows the one with the loss",
}


@functools.cache
def schema() -> dict[str, Any]:
    # read at every start of Snakemake: libyaml's loader, where PyYAML has it, takes a tenth of the time
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(SCHEMA_FILE.read_text(encoding="utf-8"), loader)


def with_defaults(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A deep copy of `raw` with every default in place and known keys in the schema's order.

    The order makes whatever is built from the result independent of the order in the file.
    """
    return _filled(raw, schema())


def faults(raw: Mapping[str, Any]) -> list[str]:
    """One line for each way in which `raw` is not a configuration; empty if it is one."""
    errors = Draft202012Validator(schema()).iter_errors(raw)
    return sorted({line for error in errors for line in _explain(error)})


def _filled(value: Any, node: dict[str, Any]) -> Any:
    node = resolve(node)
    if not isinstance(value, dict):
        return copy.deepcopy(value)
    known, others = node.get("properties", {}), node.get("additionalProperties")
    result = {
        key: _filled(value.get(key, child.get("default")), child)
        for key, child in known.items()
        if key in value or "default" in child
    }
    for key in value.keys() - known.keys():
        result[key] = _filled(value[key], others if isinstance(others, dict) else {})
    return {
        key: result[key]
        for key in [*(k for k in known if k in result), *(k for k in value if k not in known)]
    }


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        node = schema()["$defs"][node["$ref"].rpartition("/")[2]]
    return node


def _instead(path: list[str]) -> str | None:
    """What to write in place of a key that there was; None for one that there never was."""
    for removed, instead in REMOVED.items():
        parts = removed.split(".")
        if len(parts) == len(path) and all(part in ("*", key) for part, key in zip(parts, path, strict=True)):
            return instead
    return None


def _explain(error: ValidationError) -> Iterator[str]:
    path = ".".join(str(part) for part in error.absolute_path) or "(top level)"
    found, rule = error.instance, error.validator_value
    match error.validator:
        case "additionalProperties":
            known = sorted(error.schema.get("properties", {}))
            for key in sorted(set(found) - set(known)):
                prefix = "" if path == "(top level)" else f"{path}."
                if instead := _instead([*map(str, error.absolute_path), key]):
                    yield f"{prefix}{key}: no longer a key; {instead}"
                    continue
                near = difflib.get_close_matches(key, known, n=1)
                guess = f"; did you mean {near[0]}?" if near else ""
                yield f"{prefix}{key}: unknown key, allowed are {', '.join(known)}{guess}"
        case "required":
            missing = [key for key in rule if key not in found]
            yield f"{path}: {', '.join(missing)} missing, required are {', '.join(rule)}"
        case "enum":
            yield f"{path}: found {found!r}, allowed are {', '.join(map(str, rule))}"
        case "type":
            hint = ""
            if rule in ("number", "integer") and isinstance(found, str):
                hint = "; YAML reads a number with an exponent only with a dot and a sign, e.g. 3.0e-3"
            yield f"{path}: found {found!r} ({type(found).__name__}), wanted a value of type {rule}{hint}"
        case "minProperties" | "maxProperties" if error.schema.get("maxProperties") == 1:
            kinds = ", ".join(sorted(error.schema["properties"]))
            yield f"{path}: found {', '.join(found) or 'no source'}, wanted exactly one of {kinds}"
        case _:
            yield f"{path}: {error.message}"
