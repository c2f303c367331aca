"""Rows of one source in two parts, to train on and to ask about: rows alike in wording are in the same part, whatever the order.

Two are alike when the words of their texts overlap (Jaccard) by `alike`: CHAMP has one puzzle told twice, and pairs that differ in
a bound. A digest of a group's first name decides, so that a row more moves no other, unless it joins two groups.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from distillery.fetch.problem_columns import Column
from distillery.fetch.problem_rows import Row
from distillery.tokenize import held_rows

ALIKE = 0.45


def split(rows: Sequence[Row], name: Column, settings: Mapping[str, Any]) -> tuple[list[Row], list[Row]]:
    """(to train on, held out), each in the rows' order.

    Args:
        name: the column by whose value the digest goes.
        settings: `one_in`, about so many groups make one that is held out; `columns`, whose words tell which rows are alike;
            `alike`, the overlap from which they are. Of 1 rows are told one by one, as tokenize tells them.
    """
    if settings.get("alike", ALIKE) == 1:
        rule, columns = held_rows.of(settings), [Column(one) for one in settings["columns"]]
        told = [rule.holds_texts([column.value(row.values) for column in columns]) for row in rows]
        return _parted(rows, told)
    names = [str(row.values.get(name.name)) for row in rows]
    texts = [
        " ".join(word for one in settings["columns"] for word in _texts(Column(one).value(row.values)))
        for row in rows
    ]
    least = settings.get("alike", ALIKE)
    words = [frozenset(re.findall(r"\w+", text.lower())) for text in texts]
    groups: list[list[int]] = []
    for number in range(len(rows)):
        near = [
            group
            for group in groups
            if any(_overlap(words[number], words[other]) >= least for other in group)
        ]
        groups = [group for group in groups if group not in near] + [[number, *itertools.chain(*near)]]
    held: set[int] = set()
    for group in groups:
        first = min(names[number] for number in group)
        digest = int.from_bytes(hashlib.sha256(first.encode()).digest()[:8], "big")
        if digest % settings["one_in"] == 0:
            held.update(group)
    return _parted(rows, [number in held for number in range(len(rows))])


def _parted(rows: Sequence[Row], told: Sequence[bool]) -> tuple[list[Row], list[Row]]:
    left, held = ([row for row, one in zip(rows, told, strict=True) if one is part] for part in (False, True))
    return left, held


def _texts(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / max(1, len(one | other))
