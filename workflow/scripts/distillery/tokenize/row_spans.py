"""The work of one process: spans of files to blocks of rows to parts, and what happened to each row.

A part holds the tokens of its block's documents, and apart from them what is to be known about them, which is little.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from isal import isal_zlib

from distillery.marks import IGNORED
from distillery.problems import Problem
from distillery.tokenize import encoding, handlers, hub_template, rendering, templates, tokenizer
from distillery.tokenize.conversation import Rejected
from distillery.tokenize.documents import DocumentMaker, Rules
from distillery.tokenize.indexed import IDS, LABELS
from distillery.tokenize.readers import Reader, Source, Span

UUID = "uuid"
EMPTY_TEXT = "empty text"
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
        entry = {"file": block.file, "row": number, "uuid": uuid, "reason": error.reason}
        self.rejected.append(entry | ({"detail": error.detail} if error.detail else {}))

    def keep(self, number: int, uuid: str | None) -> None:
        self.rows.append(number)
        self.uuids.append(uuid)


@dataclass(frozen=True)
class Recipe:
    """What makes ids of rows; picklable, so that each worker builds its own tools from it.

    Attributes:
        prompt_type: a prompt type of `templates`, HUB_TEMPLATE for the tokenizer's own, None for plain text.
        json_keys: the columns of plain text (GeneralPretrainHandler), one dataset each.
    """

    tokenizer: Path
    handler_name: str
    prompt_type: str | None = None
    map_keys: dict[str, Any] | None = None
    rules: Rules = Rules()
    json_keys: tuple[str, ...] = ("text",)
    exact_only: bool = False
    templates: Path = templates.TEMPLATES

    @property
    def plain(self) -> bool:
        """Whether rows are texts and not conversations."""
        return self.handler_name == handlers.PLAIN_TEXT

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields whose tokens are made here (the attention mask follows from the lengths)."""
        return self.json_keys if self.plain else (IDS, LABELS)

    def columns(self) -> list[str]:
        return list(self.json_keys) if self.plain else self.handler().columns()

    def handler(self) -> handlers.Sharegpt | handlers.Alpaca:
        return handlers.mapped(self.handler_name, self.map_keys)

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
        self.handler = recipe.handler()
        self.renderer = recipe.renderer()
        self.tokenizer = self.renderer.tokenizer
        self.encoder = encoding.Encoder(self.tokenizer, recipe.exact_only)
        self.maker = DocumentMaker(self.renderer, self.encoder, recipe.rules)

    def __call__(self, block: Block) -> Part:
        part = Part(len(block.rows))
        ids: list[np.ndarray] = []
        labels: list[np.ndarray] = []
        outcomes: list[int] = []
        for number, uuid, row in _numbered(block):
            try:
                conversation = self.handler.convert(row)
                document = self.maker.make(conversation)
            except Rejected as error:
                part.reject(block, number, uuid, error)
                continue
            if number % encoding.CROSS_CHECK_EVERY == 0:
                self.encoder.cross_check(conversation.messages[-1].content)
            part.keep(number, uuid)
            part.noted += [(note, number, uuid) for note in document.notes]
            part.truncated += document.truncated
            part.roles.update(message.role for message in conversation.messages)
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
    """Blocks of texts to parts with one field for each column (pre-training data).

    A row that is too long in one column is dropped from all. The reference pairs columns by their position among
    the texts of 50 rows that are not empty, and so drops others than these where some are empty.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.keys, self.rules = recipe.json_keys, recipe.rules
        self.tokenizer = tokenizer.load(recipe.tokenizer)
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
        for number, uuid, row in _numbered(block):
            try:
                texts = {key: handlers.text(row[key], key) for key in self.keys}
                if not any(texts.values()):
                    raise Rejected(EMPTY_TEXT)
            except Rejected as error:
                part.reject(block, number, uuid, error)
                continue
            if number % encoding.CROSS_CHECK_EVERY == 0:
                self.encoder.cross_check(texts[self.keys[0]])
            made = {
                key: _joined([self.before, self.encoder.encode(text), self.after])
                for key, text in texts.items()
                if text
            }
            longest = max(map(len, made.values()))
            dropped = limit is not None and longest >= limit
            if dropped:
                part.overlong.append((number, uuid, longest))
            if self.keys[0] in made:
                part.keep(number, uuid)
            part.noted += [(EMPTY_TEXT, number, uuid)] * (len(made) < len(texts))
            for key, array in made.items():
                outcomes[key].append(-1 if dropped else len(array))
                if not dropped:
                    tokens[key].append(array)
        part.tokens = {key: _joined(arrays) for key, arrays in tokens.items()}
        part.outcomes = {key: np.array(lengths, np.int64) for key, lengths in outcomes.items()}
        return part


class SpanWork:
    """Spans to parts, in one process: reads a span block by block and gives each to `work`."""

    def __init__(self, work: ConversationWork | TextWork) -> None:
        self.work, self.reader = work, Reader()

    def __call__(self, span: Span) -> Iterator[tuple[Part, Tokens]]:
        for first, rows in self.reader.blocks(span):
            yield self.work(Block(span.path.name, first, rows)).parted()


def spans(sources: list[Source], columns: list[str], most: int | None, processes: int = 1) -> Iterator[Span]:
    """All files in order, the first `most` rows if given."""
    left = most
    for source in sources:
        for span in source.spans(source.check(columns, (UUID,)), processes):
            if left is not None:
                span = span.shortened(min(span.count, left))
                left -= span.count
            yield span
            if left == 0:
                return


def blocks(sources: list[Source], columns: list[str], most: int | None) -> Iterator[Block]:
    """The same, read."""
    with Reader() as reader:
        for span in spans(sources, columns, most):
            yield from (Block(span.path.name, first, rows) for first, rows in reader.blocks(span))


def _numbered(block: Block) -> Iterator[tuple[int, str | None, dict[str, Any]]]:
    for number, row in enumerate(block.rows, block.first):
        uuid = row.get(UUID)
        yield number, uuid if uuid is None else str(uuid), row


def _array(ids: list[Any]) -> np.ndarray:
    return np.array(ids, np.int32)


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.empty(0, np.int32)
