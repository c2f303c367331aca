"""What is wrong with a configuration, key by key: held against the schema, and removed keys explained.

All faults are found at once; each names the key's path, what was found and what is allowed.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from distillery import ranges, schema

if TYPE_CHECKING:
    from jsonschema import ValidationError

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
RANGES = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def faults(raw: Mapping[str, Any]) -> list[str]:
    """One line for each way in which `raw` is not a configuration; empty if it is one."""
    # the validator would stumble over keys that are no text, and lets NaN pass every bound
    if strange := list(_strange(raw, ())):
        return strange
    from jsonschema import Draft202012Validator

    errors = Draft202012Validator(schema.schema()).iter_errors(raw)
    return sorted({line for error in errors for line in _explain(error)})


def _strange(value: Any, path: tuple[str, ...]) -> Iterator[str]:
    """Keys that are no text and numbers that are none, anywhere below a value."""
    if isinstance(value, Mapping):
        for key, child in value.items():
            if not isinstance(key, str):
                yield (
                    f"{_dotted((*path, str(key)))}: found the key {key!r} ({type(key).__name__}), wanted text; "
                    f"YAML reads it as no text unless it is quoted"
                )
            yield from _strange(child, (*path, str(key)))
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from _strange(child, (*path, str(number)))
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{_dotted(path)}: found {value}, wanted a finite number"


def _dotted(path: Sequence[object]) -> str:
    return ".".join(map(str, path)) or "(top level)"


def _instead(path: Sequence[object]) -> str | None:
    """What to write in place of a key that there was; None for one that there never was."""
    for removed, instead in REMOVED.items():
        parts = removed.split(".")
        if len(parts) == len(path) and all(part in ("*", key) for part, key in zip(parts, path, strict=True)):
            return instead
    return None


def _explain(error: ValidationError) -> Iterator[str]:
    path, found, rule = _dotted(error.absolute_path), error.instance, error.validator_value
    match error.validator:
        case "additionalProperties":
            known = sorted(error.schema.get("properties", {}))
            for key in sorted(set(found) - set(known)):
                at = (*error.absolute_path, key)
                if instead := _instead(at):
                    yield f"{_dotted(at)}: no longer a key; {instead}"
                    continue
                near = difflib.get_close_matches(key, known, n=1)
                guess = f"; did you mean {near[0]}?" if near else ""
                yield f"{_dotted(at)}: unknown key, allowed are {', '.join(known)}{guess}"
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
        case bound if bound in RANGES:
            yield f"{path}: found {found!r}, wanted {ranges.words(error.schema)}"
        case _:
            yield f"{path}: {error.message}"
