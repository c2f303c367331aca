"""A configuration's YAML, read strictly: what a loader would drop or turn into something else is a fault with its line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from distillery.problems import Problem

TEXT, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
# libyaml's takes a tenth of the time, where PyYAML has it
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(path: Path) -> Any:
    """What the file says.

    Raises:
        Problem: no such file, no YAML, or keys that are no text or stand twice, all of them with their lines.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Problem(
            "the configuration cannot be read",
            where=path,
            found=error.strerror,
            fix="name a YAML file, such as config/config.yaml",
        ) from None
    except UnicodeDecodeError as error:
        raise Problem("the configuration is no text in UTF-8", where=f"{path}, byte {error.start}") from None
    try:
        loader = Loader(text)
        root = loader.get_single_node()
        faults = list(_keys(root, (), set())) if root else []
        if faults:
            raise Problem(
                "\n".join(
                    [f"keys in {path} would not be read as they stand", *(f"  {one}" for one in faults)]
                )
            )
        return loader.construct_document(root) if root else None
    except (yaml.YAMLError, ValueError) as error:  # a date of no calendar is a ValueError
        mark = getattr(error, "problem_mark", None)
        raise Problem(
            "the configuration is not YAML",
            where=f"{path}, line {mark.line + 1}, column {mark.column + 1}" if mark else path,
            found=getattr(error, "problem", None) or str(error),
            fix="indent with spaces, and put text with `: `, `#`, `{`, `[`, `*` or `&` into quotes",
        ) from None


def _keys(node: yaml.Node, path: tuple[str, ...], seen: set[int]) -> Iterator[str]:
    """A line for each key below a node that is no text, or stands a second time in its mapping."""
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for number, child in enumerate(node.value):
            yield from _keys(child, (*path, str(number)), seen)
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    for key, child in node.value:
        at, line = (
            (*path, str(key.value) if isinstance(key, yaml.ScalarNode) else "?"),
            key.start_mark.line + 1,
        )
        if key.tag not in (TEXT, MERGE):
            kind = key.tag.rpartition(":")[2]
            yield f"line {line}: {'.'.join(at)}: the key is read as {kind}; put it into quotes if it is a name"
        elif at[-1] in lines:
            yield f"line {line}: {'.'.join(at)}: stands in line {lines[at[-1]]} too, and the last one would count; remove one"
        else:
            lines[at[-1]] = line
        yield from _keys(child, at, seen)
