"""The work of one process: spans of files to blocks of rows to parts, and what happened to each row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from distillery import whole_text
from distillery.dataset import PLAIN_TEXT
from distillery.problems import Problem
from distillery.tokenize import (
    conversation,
    encoding,
    handlers,
    held_rows,
    hub_template,
    rendering,
    templates,
    tokenizer,
)
from distillery.tokenize.conversation import Rejected
from distillery.tokenize.csv_rows import NulledRow
from distillery.tokenize.documents import DocumentMaker, Rules
from distillery.tokenize.held_rows import HeldOut
from distillery.tokenize.indexed import IDS, LABELS
from distillery.tokenize.left_out import LeftOut
from distillery.tokenize.parts import CSV_NULL, Block, Part, Tokens
from distillery.tokenize.plain_text import BLANK_TEXT, EMPTY_TEXT
from distillery.tokenize.readers import Reader, Span

UUID = "uuid"


@dataclass(frozen=True)
class Recipe:
    """What makes ids of rows; picklable, so that each worker builds its own tools from it.

    Attributes:
        prompt_type: a prompt type of `templates`, HUB_TEMPLATE for the tokenizer's own, None for plain text.
        json_keys: the columns of plain text (GeneralPretrainHandler), one dataset each.
        thoughts: `sharegpt.JOIN`, or None to leave those out that have a field of their own.
        text_labels: with GeneralPretrainHandler, texts become what conversations do, learnt whole and ended as answers are.
        hold_out: `one_in` and `columns` of rows that are asked about instead (`held_rows.HeldOut`).
        left_out: rows that a selection leaves out.
    """

    tokenizer: Path
    handler_name: str
    prompt_type: str | None = None
    map_keys: dict[str, Any] | None = None
    rules: Rules = Rules()
    json_keys: tuple[str, ...] = ("text",)
    exact_only: bool = False
    templates: Path = templates.TEMPLATES
    thoughts: str | None = None
    text_labels: bool = False
    hold_out: dict[str, Any] | None = None
    left_out: LeftOut | None = None

    @property
    def plain(self) -> bool:
        """Whether rows are texts to be pre-trained on, without labels."""
        return self.handler_name == PLAIN_TEXT and not self.text_labels

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields whose tokens are made here (the attention mask follows from the lengths)."""
        return self.json_keys if self.plain else (IDS, LABELS)

    def columns(self) -> list[str]:
        """What rows are made of."""
        return list(self.json_keys if self.plain else self.handler().columns())

    def held_columns(self) -> list[str]:
        """What tells which rows are held out; names may be dotted."""
        return (self.hold_out or {}).get("columns", [])

    def handler(self) -> handlers.Handler:
        return handlers.mapped(self.handler_name, self.map_keys, self.thoughts)

    def renderer(self) -> rendering.Renderer | hub_template.HubRenderer:
        assert self.prompt_type
        hub = tokenizer.load(self.tokenizer)
        if self.prompt_type == hub_template.NAME:
            return hub_template.HubRenderer(hub)
        return rendering.Renderer(templates.load(self.prompt_type, self.templates), hub)

    def work(self) -> ConversationWork | TextWork:
        return TextWork(self) if self.plain else ConversationWork(self)


class ConversationWork:
    """Blocks of conversations to parts with input_ids and labels."""

    def __init__(self, recipe: Recipe) -> None:
        self.handler, self.held = recipe.handler(), held_rows.of(recipe.hold_out)
        self.left_out = recipe.left_out
        self.renderer = recipe.renderer()
        self.tokenizer = self.renderer.tokenizer
        self.encoder = encoding.Encoder(self.tokenizer, recipe.exact_only)
        self.maker = DocumentMaker(self.renderer, self.encoder, recipe.rules)

    def __call__(self, block: Block) -> Part:
        part = Part(len(block.rows))
        ids: list[np.ndarray] = []
        labels: list[np.ndarray] = []
        outcomes: list[int] = []
        for number, uuid, row in _numbered(block, part, self.held, self.left_out):
            try:
                made = self.handler.convert(row)
                if isinstance(row, NulledRow):
                    made = replace(made, notes=(*made.notes, CSV_NULL))
                document = self.maker.make(made)
            except Rejected as error:
                part.reject(block, number, uuid, error)
                continue
            self.encoder.cross_check(made.messages[-1].content, number)
            part.keep(number, uuid)
            part.noted += [(note, number, uuid) for note in document.notes]
            part.truncated += document.truncated
            part.roles.update(message.role for message in made.messages)
            if document.overlong:
                part.overlong.append((number, uuid, len(document.input_ids)))
                outcomes.append(-1)
            else:
                ids.append(document.input_ids)
                labels.append(document.labels)
                outcomes.append(len(document.input_ids))
        part.tokens = {IDS: _joined(ids), LABELS: _joined(labels)}
        part.outcomes = dict.fromkeys((IDS, LABELS), np.array(outcomes, np.int64))
        return part


class TextWork:
    """Blocks of texts to parts: a field for each column (pre-training data), without labels.

    A row that is too long in one column is dropped from all. The reference pairs columns by their position among
    the texts of 50 rows that are not empty, and so drops others than these where some are empty.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.keys, self.rules, self.held = recipe.json_keys, recipe.rules, held_rows.of(recipe.hold_out)
        self.left_out = recipe.left_out
        self.tokenizer = tokenizer.load(recipe.tokenizer)
        self.renderer = None
        self.encoder = encoding.Encoder(self.tokenizer, recipe.exact_only)
        self.before, self.after = map(_array, self.tokenizer.affixes())
        if self.rules.append_eod:
            if self.tokenizer.special_id("eos") is None:
                raise Problem("--append-eod needs a tokenizer with an eos token", where=recipe.tokenizer)
            self.after = _joined([self.after, _array([self.tokenizer.special_id("eos")])])

    def __call__(self, block: Block) -> Part:
        part = Part(len(block.rows))
        limit = self.rules.seq_length
        tokens: dict[str, list[np.ndarray]] = {key: [] for key in self.keys}
        outcomes: dict[str, list[int]] = {key: [] for key in self.keys}
        for number, uuid, row in _numbered(block, part, self.held, self.left_out):
            try:
                texts = {key: conversation.text(row[key], key) for key in self.keys}
                if not any(texts.values()):
                    raise Rejected(EMPTY_TEXT)
                notes = [EMPTY_TEXT] * (not all(texts.values()))
                notes += [BLANK_TEXT] * any(text.isspace() for text in texts.values())
                if notes and self.rules.strict:
                    raise Rejected(notes[0])
            except Rejected as error:
                part.reject(block, number, uuid, error)
                continue
            self.encoder.cross_check(texts[self.keys[0]], number)
            made = {
                key: _joined([self.before, self.encoder.encode(text), self.after])
                for key, text in texts.items()
                if text
            }
            longest = max(map(len, made.values()))
            dropped = limit is not None and longest >= limit
            if dropped and self.rules.overlong == "truncate-keep-eos":
                made = {key: self._cut(array) for key, array in made.items()}
                part.truncated += 1
                dropped = False
            if dropped:
                part.overlong.append((number, uuid, longest))
            if self.keys[0] in made:
                part.keep(number, uuid)
            part.noted += [(note, number, uuid) for note in notes]
            for key, array in made.items():
                outcomes[key].append(-1 if dropped else len(array))
                if not dropped:
                    tokens[key].append(array)
        part.tokens = {key: _joined(arrays) for key, arrays in tokens.items()}
        part.outcomes = {key: np.array(lengths, np.int64) for key, lengths in outcomes.items()}
        return part

    def _cut(self, array: np.ndarray) -> np.ndarray:
        """Within seq_length, and ended."""
        assert self.rules.seq_length
        end = len(self.after)
        room = self.rules.seq_length - 1 - end
        return array if len(array) <= room + end else _joined([array[:room], self.after])


class SpanWork:
    """Spans to parts, in one process: reads a span block by block and gives each to `work`."""

    def __init__(self, work: ConversationWork | TextWork) -> None:
        self.work, self.reader = work, Reader()

    def __call__(self, span: Span) -> Iterator[tuple[Part, Tokens]]:
        for first, rows in self.reader.blocks(span):
            yield self.work(Block(span.path.name, first, rows)).parted()


def _numbered(
    block: Block, part: Part, held: HeldOut | None, left_out: LeftOut | None
) -> Iterator[tuple[int, str | None, dict[str, Any]]]:
    """Rows with their numbers and names, but for those held out or left out, which are counted."""
    unchosen = left_out.of(block.file) if left_out else frozenset()
    for number, row in enumerate(block.rows, block.first):
        uuid = row.get(UUID)
        uuid = uuid if uuid is None else str(uuid)
        whole_text.check(uuid or "", f"{block.file}, row {number}, column {UUID}")
        if held and held.holds(row):
            part.held_out.append((number, uuid))
        elif number in unchosen:
            part.left_out.append((number, uuid))
        else:
            yield number, uuid, row


def _array(ids: list[Any]) -> np.ndarray:
    return np.array(ids, np.int32)


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.empty(0, np.int32)
