"""The rows of a dataset that can be learnt, read as often as filters need, and those that filters leave out."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distillery.select import recorded_answers
from distillery.select.filters import Row, Wanted
from distillery.tokenize import conversation, handlers, held_rows, taken_rows
from distillery.tokenize.conversation import Rejected
from distillery.tokenize.readers import Source
from distillery.tokenize.row_spans import UUID

SHOWN = 200  # characters of a row's question, or of why it is left out


@dataclass
class Left:
    """The rows that are left out, by their places among all rows; and what else was counted."""

    rows: dict[int, dict[str, Any]]
    read: int = 0
    held_out: int = 0
    unusable: int = 0

    def out(self, place: int, name: Mapping[str, Any], by: str, detail: str) -> None:
        """Leave a row out; what is said of it has a UTF-8 form, whatever its columns hold."""
        said = name | {"filter": by, "detail": detail[:SHOWN]}
        self.rows[place] = {
            key: one.encode("utf-8", "replace").decode() if isinstance(one, str) else one
            for key, one in said.items()
        }


class Rows:
    """The rows that can be learnt, in the order of the files, again and again."""

    def __init__(self, args: argparse.Namespace, wanted: Wanted, sources: Sequence[Source]) -> None:
        self.handler = handlers.mapped(args.handler_name, args.map_keys, args.thoughts)
        self.held, self.sources = held_rows.of(args.hold_out), sources
        self.dotted = [*(self.held.columns if self.held else ())]
        self.dotted += [wanted.answer_column] * wanted.right_answer
        self.dotted += [wanted.source_column] * (wanted.max_per_source is not None)
        self.needed = self.handler.columns() + [recorded_answers.COUNT] * wanted.rates
        self.more = (
            UUID,
            *((recorded_answers.VERIFIED, recorded_answers.GENERATIONS) if wanted.right_answer else ()),
        )
        self.rates = wanted.rates

    def __call__(self, left: Left | None = None) -> Iterator[tuple[int, dict[str, Any], Row]]:
        """(its place among all rows, what names it, the row) of each; what is passed over is counted."""
        place = -1
        for source in self.sources:
            columns = source.check(self.needed, self._more(source), self.dotted)
            for block in taken_rows.blocks([source], columns, None):
                for number, row in enumerate(block.rows, block.first):
                    place += 1
                    made = self._made(row, left)
                    if made:
                        uuid = row.get(UUID)
                        name = {
                            "file": block.file,
                            "row": number,
                            "uuid": None if uuid is None else str(uuid),
                        }
                        yield place, name, made
        if left:
            left.read = place + 1

    def _more(self, source: Source) -> tuple[str, ...]:
        found = [one for one in recorded_answers.EACH if self.rates and one in source.columns()]
        # generations are long, and read only where nothing else says how many there are
        return (*self.more, recorded_answers.VERIFIED, *found[:2])

    def _made(self, row: dict[str, Any], left: Left | None) -> Row | None:
        if self.held and self.held.holds(row):
            if left:
                left.held_out += 1
            return None
        try:
            made = self.handler.convert(row)
        except Rejected:
            if left:
                left.unusable += 1  # tokenization counts and names them
            return None
        question, answer = conversation.ends(made)
        return Row(made, question, question if made.is_text else answer, row)
