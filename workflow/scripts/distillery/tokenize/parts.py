"""Blocks of rows and what comes of them: a part holds the tokens of a block's documents and, apart, what is to be known of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from isal import isal_zlib

from distillery.marks import IGNORED
from distillery.tokenize.conversation import Rejected
from distillery.tokenize.csv_rows import NulledRow
from distillery.tokenize.indexed import LABELS

CSV_NULL = "a CSV cell that spells null, such as NA or None, was read as nothing"

Tokens = dict[str, np.ndarray]  # {field: the documents' tokens, concatenated in the order of the rows, int32}


class Block(NamedTuple):
    """Rows of a file, `first` being the number of the first one there."""

    file: str
    first: int
    rows: list[dict[str, Any]]


@dataclass
class Part:
    """The outcome of one block of rows.

    Attributes:
        seen: rows of the block, whatever became of them.
        outcomes: {field: [documents] tokens of each, -1 if too long and dropped}.
        checksums: {field: crc32 of its tokens}.
        supervised: labels that are trained.
        rows, uuids: of each document.
    """

    seen: int
    tokens: Tokens = field(default_factory=dict)
    checksums: dict[str, int] = field(default_factory=dict)
    supervised: int = 0
    outcomes: dict[str, np.ndarray] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)
    uuids: list[str | None] = field(default_factory=list)
    truncated: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)
    noted: list[tuple[str, int, str | None]] = field(default_factory=list)
    overlong: list[tuple[int, str | None, int]] = field(default_factory=list)
    held_out: list[tuple[int, str | None]] = field(default_factory=list)
    left_out: list[tuple[int, str | None]] = field(default_factory=list)
    roles: Counter = field(default_factory=Counter)

    def size(self, field: str) -> int:
        """Tokens of a field."""
        outcomes = self.outcomes[field]
        return int(outcomes[outcomes >= 0].sum())

    def parted(self) -> tuple[Part, Tokens]:
        """Without its tokens but with what they tell; and the tokens."""
        tokens = {field: array.astype("<i4", copy=False) for field, array in self.tokens.items()}
        checksums = {field: isal_zlib.crc32(array.data) for field, array in tokens.items()}
        supervised = int(np.count_nonzero(tokens[LABELS] != IGNORED)) if LABELS in tokens else 0
        return replace(self, tokens={}, checksums=checksums, supervised=supervised), tokens

    def reject(self, block: Block, number: int, uuid: str | None, error: Rejected) -> None:
        """Put a row into quarantine; what its cells said, where they were read as null, belongs to the cause."""
        row = block.rows[number - block.first]
        if isinstance(row, NulledRow):
            cells = ", ".join(f"{column} {cell!r}" for column, cell in row.cells.items())
            error.detail = f"{error.detail}; read as null: {cells}".removeprefix("; ")
            self.noted += [(CSV_NULL, number, uuid)] * (error.reason != CSV_NULL)
        entry = {"file": block.file, "row": number, "uuid": uuid, "reason": error.reason}
        self.rejected.append(entry | ({"detail": error.detail} if error.detail else {}))

    def keep(self, number: int, uuid: str | None) -> None:
        self.rows.append(number)
        self.uuids.append(uuid)
