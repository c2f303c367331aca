"""A configuration's YAML, read strictly: what a loader would drop or turn into something else is a fault with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from distillery.problems import Problem

MOST, DEEPEST = 100_000, 50  # values and levels; the largest shipped configuration has some 100 and 6
TEXT, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
NUMBERS = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
# YAML 1.1 reads 010 to the base of 8, and 1:30 to that of 60; YAML 1.2 and people do not
OTHER_BASE = re.compile(r"[-+]?(0[0-7_]+|[0-9][0-9_]*(:[0-9]+)+(\.[0-9_]*)?)")
# libyaml's takes a tenth of the time, where PyYAML has it
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(path: Path) -> Any:
    """What the file says.

    Raises:
        Problem: no such file, no YAML, or keys that are no text or stand twice, and numbers of other bases, all of them with their lines.
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
        _check_nesting(text, path)
        loader = Loader(text)
        root = loader.get_single_node()
        if root:
            _measure(root, (), {}, path)
        faults = list(_keys(root, (), set())) if root else []
        if faults:
            raise Problem(
                "\n".join(
                    [
                        f"keys or values in {path} would not be read as they stand",
                        *(f"  {one}" for one in faults),
                    ]
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


def _check_nesting(text: str, path: Path) -> None:
    """Count levels event by event: the composer calls itself for each, and its C stack would overflow.

    Raises:
        Problem: more than DEEPEST levels.
        yaml.YAMLError: no YAML.
    """
    levels = 0
    for event in yaml.parse(text, Loader=Loader):
        levels += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if levels > DEEPEST:
            raise _too_large(path, event.start_mark.line, f"more than {DEEPEST} levels")


def _too_large(path: Path, line: int, found: str) -> Problem:
    return Problem(
        "the configuration is larger than any experiment needs",
        where=f"{path}, line {line + 1}",
        found=found,
        wanted=f"at most {MOST} values and {DEEPEST} levels",
        fix="write out what the anchors stand for, and list in a file what belongs into one",
    )


def _measure(node: yaml.Node, above: tuple[int, ...], known: dict[int, int], path: Path) -> int:
    """How many values a node stands for, those behind aliases counted wherever they stand.

    Raises:
        Problem: more than MOST, for a few lines of anchors in anchors give billions; or an anchor that holds itself.
    """
    if id(node) in known:
        return known[id(node)]
    if id(node) in above:
        raise _too_large(path, node.start_mark.line, "an anchor that holds itself")
    count = 1
    if isinstance(node, yaml.CollectionNode):
        parts = (part for one in node.value for part in (one if isinstance(one, tuple) else (one,)))
        count += sum(_measure(part, (*above, id(node)), known, path) for part in parts)
    if count > MOST:
        raise _too_large(path, node.start_mark.line, f"{count} values, with those that its anchors repeat")
    known[id(node)] = count
    return count


def _keys(node: yaml.Node, path: tuple[str, ...], seen: set[int]) -> Iterator[str]:
    """A line for each key below a node that is no text, or stands a second time in its mapping, and each number of another base."""
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if node.tag in NUMBERS and OTHER_BASE.fullmatch(node.value):
        found = yaml.safe_load(node.value)
        yield (
            f"line {node.start_mark.line + 1}: {'.'.join(path)}: {node.value} is read as {found}; write {found} if it is meant, "
            "else the number without leading zeros, or a text in quotes"
        )
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
