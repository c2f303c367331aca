"""Configurations that hold hostile text at every place of the schema where text may stand, and what bash makes of their lines."""

from __future__ import annotations

import copy
import functools
import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from hypothesis import find
from hypothesis import strategies as st
from places import FIXTURES

from distillery import schema

CANARY = "CANARY"
HOSTILE = (
    f"$(touch {CANARY})`touch {CANARY}`${{IFS}}; touch {CANARY} & touch {CANARY} | cat > {CANARY} # !! %s *?[c] $HOME",
    f"'; touch {CANARY}; \" ; touch {CANARY} \"'",
    f"a\ntouch {CANARY}\n",
    "-x",
    "..",
    "../../up",
    "/etc/passwd",
    "{input}{{params.command}}{0}}{",
    'it\'s (1) "quoted"  数学',
    "~root",
    "back\\slash\\",
    "\x1b[2Jcleared\u202eturned",
    "",
)
# what most patterns take
GOOD = "text.jsonl"
USUAL = (
    GOOD,
    "owner/name",
    "name==1",
    "model.gguf",
    "http://host/{name}",
    "train-00000-of-00001.parquet",
    "100,0,0",
    "0" * 64,
)
KEY, ANY = "<a key>", "*"  # parts of a place: the name of a key, and what stands below any name
Place = tuple[str | int, ...]
BASE = yaml.safe_load((FIXTURES / "workflow/small.yaml").read_text())
# names of keys that are not free
BELOW = {"map_keys": "messages", "sweep": "prompt_type", "sets": "sums-heldout"}
# what stands beside in any case, though the schema does not ask for it
SERVER = "known"
OTHER = "others"  # a second dataset
BESIDE = {"teacher": {"server": SERVER, "max_new_tokens": 8}}
KNOWN = {
    "dataset": "sums",
    "name": "sums",
    "model": "tiny",
    "problems": "sums-heldout",
    "hardware": "laptop",
    "experiment": "small",
    "server": SERVER,
    "prompt_type": "qwen_math_r1",
}


def places(node: dict[str, Any] | None = None, path: Place = ()) -> Iterator[Place]:
    """Everywhere in the schema where a text may stand that is not one of a few: values, items, keys."""
    node = schema.resolve(schema.schema() if node is None else node)
    kinds = node.get("type", [] if node.keys() & {"enum", "const"} else ["string", "array"])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "string" in kinds:
        yield path
    if "array" in kinds:
        yield from places(node.get("items", {"type": "string"}), (*path, 0))
    if "object" in kinds:
        for key, child in node.get("properties", {}).items():
            yield from places(child, (*path, key))
        below = node.get("additionalProperties", {"type": "string"})
        if isinstance(below, dict):
            yield (*path, KEY)
            yield from places(below, (*path, ANY))


def needed(node: dict[str, Any], head: str | int | None = None) -> list[str]:
    """The keys that a node requires beside `head`; of several sources a folder, which takes all that is said of rows, or the first."""
    sources = [one["required"][0] for one in node.get("oneOf", ()) if "required" in one]
    chosen = [] if not sources or head in sources else ["path" if "path" in sources else sources[0]]
    follow = [key for one in (head, *chosen) for key in node.get("dependentRequired", {}).get(one, ())]
    return [*node.get("required", ()), *chosen, *(key for key in follow if key != head)]


@functools.cache
def least(pattern: str) -> str:
    """A short text that a pattern of the schema takes: a usual one, or else any (which takes seconds to find)."""
    form = pattern.replace("$", r"\Z")  # as the standard means it
    usual = (one for one in USUAL if re.search(form, one))
    return next(usual, None) or find(st.from_regex(form), str.isprintable)


def honest(node: dict[str, Any], name: str = "") -> Any:
    """The least that the schema takes at a node; `name` is its key."""
    node = schema.resolve(node)
    kinds = node.get("type", "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if "default" in node:
        return copy.deepcopy(node["default"])
    if "const" in node:
        return node["const"]
    if "enum" in node:
        return node["enum"][0]
    if node.get("maxProperties") == 1:  # one of several
        key, child = next(iter(node["properties"].items()))
        return {key: honest(child, key)}
    if kind == "object":
        return {key: honest(node["properties"][key], key) for key in needed(node)}
    if kind == "array":
        return [honest(node.get("items", {}), name)] * node.get("minItems", 1)
    if kind in ("integer", "number"):
        return max(node.get("minimum", 1), node.get("exclusiveMinimum", 0) + 1)
    if "pattern" in node:
        return least(node["pattern"])
    return KNOWN.get(name, GOOD)


def holding(node: dict[str, Any], place: Place, value: Any, name: str, alone: bool = False) -> Any:
    """What the schema takes at a node with `value` at a place below it; `name` stands for any name on the way.

    `alone` leaves out what else is required there.
    """
    if not place:
        return value
    node, (head, *rest) = schema.resolve(node), place
    if head == 0:
        return [holding(node.get("items", {}), tuple(rest), value, name, alone)]
    below = node.get("additionalProperties", {})
    if head == KEY:
        return {value: honest(below)}
    if head == ANY:
        return {name: holding(below, tuple(rest), value, name, alone)}
    name = BELOW.get(str(head), name)
    required = () if alone or node.get("maxProperties") == 1 else needed(node, head)
    made = {key: honest(node["properties"][key], key) for key in required}
    inner = holding(node["properties"][head], tuple(rest), value, name, alone)
    return made | {head: merged(BESIDE.get(str(head)), inner)}


def texts(place: Place) -> Iterator[tuple[str, bool]]:
    """(text, whether it is honest) to try at a place: hostile ones alone, and in an honest one."""
    node = schema.resolve(schema.schema())
    for head in place:
        if head == KEY:
            node = node.get("propertyNames", {})
        elif head == 0:
            node = node.get("items", {})
        else:
            node = node.get("additionalProperties", {}) if head == ANY else node["properties"][head]
        node = schema.resolve(node)
    good = honest({**node, "type": "string"} if "pattern" in node else {"type": "string"}, str(place[-1]))
    if place[-1] == KEY and place[-2] in BELOW:
        good = BELOW[str(place[-2])]
    yield good, True
    for text in HOSTILE:
        yield text, False
        if "pattern" in node and text:
            stem, dot, ending = good.rpartition(".")
            yield f"{stem or ending}{text}{dot}{ending if stem else ''}", False
            if "file" in str(place[-2:]):
                yield f"{text}{good}", False


def put(folder: Path, text: str) -> None:
    """Let there be what a source could name so, as far as it lies near `folder`: a folder of files, files."""
    near = folder.parent.parent.resolve()
    model = ("config.json", "model.safetensors", GOOD, "train-00000-of-00001.parquet")
    for name in [
        *(f"{text}/{one}" for one in model),
        f"{GOOD}/{text}",
        f"text{text}.jsonl",
        f"{GOOD}/{text}{GOOD}",
    ]:
        path = folder / name
        with suppress(OSError, ValueError):  # some are no names at all
            if text and near in path.resolve().parents:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(BASE["models"]["tiny"]["random"]["config"]))


def merged(below: Any, above: Any) -> Any:
    """`above` laid over `below`, mapping by mapping."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {**below, **{key: merged(below.get(key), value) for key, value in above.items()}}
    return copy.deepcopy(above)


def read_by_bash(lines: Sequence[str], folder: Path) -> list[list[str]]:
    """The words that bash makes of each line, none of which is run but by its own expansions."""
    script = "".join(f"show {line}\n" for line in lines)
    show = "show() { printf '%s\\0' \"$@\"; printf '\\1\\0'; }\n"
    done = subprocess.run(
        ["bash"], input=(show + script).encode(), cwd=folder, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b""), done.stderr
    assert list(folder.iterdir()) == [], "a line of the workflow has run something"
    return [words.decode().split("\0")[:-1] for words in done.stdout.split(b"\1\0")[:-1]]


def printed(text: str) -> list[str]:
    """The lines of jobs that `snakemake -n -p` printed, each as it can be pasted."""
    blocks = text.split("\nShell command: ")[1:]
    found = [re.split(r"\n\n\[|\n+Job stats:", block)[0] for block in blocks]
    return [line for line in found if line != "None"]
