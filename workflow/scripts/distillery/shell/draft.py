"""A configuration in the making, twice: as scripts say it, one value a stage, and as it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from distillery import schema
from distillery.shell.shell_words import Place
from distillery.shell.stage_values import Misread

MACHINE = "ascend"
UNSAID = "no script says it"


@dataclass
class Draft:
    """Two nested configurations with one experiment, comments of the second by path, places of the first by key."""

    name: str
    rows: str
    said: dict[str, Any] = field(default_factory=dict)
    written: dict[str, Any] = field(default_factory=dict)
    comments: dict[tuple[str, ...], str] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    misread: list[Misread] = field(default_factory=list)

    def put(
        self, key: str, value: Any, place: Place | None = None, comment: str = "", in_both: bool = True
    ) -> None:
        """Set a dotted key of what was said, and of what is written too."""
        path = self.path(key)
        _set(self.said, path, value)
        if place:
            self.places[".".join(path)] = place
        if in_both:
            self.write(key, value, comment)

    def write(self, key: str, value: Any, comment: str = "") -> None:
        path = self.path(key)
        _set(self.written, path, value)
        if comment:
            self.comments[path] = comment

    def path(self, key: str) -> tuple[str, ...]:
        """Dotted keys as paths; `@` is the experiment, `%` the machine, `#` the dataset: their names may have dots."""
        roots = {"@": ("experiments", self.name), "%": ("hardware", MACHINE), "#": ("datasets", self.rows)}
        head, *rest = key.split(".")
        return (*roots.get(head, (head,)), *rest)


def ordered(value: Any, node: Mapping[str, Any] | None = None) -> Any:
    """A configuration with its keys in the schema's order, other names as they came."""
    node = schema.resolve(dict(schema.schema() if node is None else node))
    if not isinstance(value, dict):
        return value
    known, others = node.get("properties", {}), node.get("additionalProperties")
    names = [*(name for name in known if name in value), *(name for name in value if name not in known)]
    return {
        name: ordered(value[name], known.get(name) or (others if isinstance(others, dict) else {}))
        for name in names
    }


def _set(tree: dict[str, Any], path: Sequence[str], value: Any) -> None:
    *parents, last = path
    for name in parents:
        tree = tree.setdefault(name, {})
    tree[last] = value
