"""Names that lead into the objects of a column, as `meta.question` does, unless a column has that very name."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any


def column(name: str, columns: Container[str]) -> str:
    """The column of a file that has to be read for a name; the name itself where there is none."""
    first = name.split(".")[0]
    return name if name in columns or first not in columns else first


def value(row: Mapping[str, Any], name: str) -> Any:
    """What a row has under a name: through a list it leads to a list, through nothing to None."""
    return row[name] if name in row else _within(row, name.split("."))


def _within(found: Any, keys: Sequence[str]) -> Any:
    if not keys:
        return found
    if isinstance(found, list):
        return [_within(one, keys) for one in found]
    return _within(found.get(keys[0]), keys[1:]) if isinstance(found, Mapping) else None
