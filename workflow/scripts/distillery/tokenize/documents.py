"""Conversations to the two arrays that are stored: input_ids and labels.

Labels are the ids of the answers with their end tokens, and -100 elsewhere. They are not shifted: training does that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from distillery import cutting
from distillery.marks import END_THINK, IGNORED, THINK
from distillery.tokenize import silent_losses
from distillery.tokenize.conversation import Conversation, Message, Rejected
from distillery.tokenize.encoding import Encoder
from distillery.tokenize.rendering import Renderer
from distillery.tokenize.special_text import ESCAPED, SpecialText
from distillery.tokenize.templates import EMPTY_THOUGHT, without_thought

NO_LIMIT = 1 << 40
CUT = f"cut at {cutting.DEFAULT_LIMIT} tokens"


@dataclass(frozen=True)
class Rules:
    """What is done with a conversation besides its prompt type.

    Attributes:
        seq_length: rows of so many tokens or more do not fit (None: no limit but the reference's 100000).
        overlong: "drop", "error" or "truncate-keep-eos"; None as the reference: drop, but cut what is neat-packed or reasons.
        special_tokens_in_text: the policy of `SpecialText`.
        strict: reject rows that the reference keeps though they are odd.
    """

    seq_length: int | None = None
    pack: bool = False
    neat_pack: bool = False
    append_eod: bool = False
    enable_thinking: bool | None = None
    overlong: str | None = None
    special_tokens_in_text: str = "keep"
    strict: bool = False


class Document(NamedTuple):
    """input_ids and labels [tokens] int32; `overlong` if it is to be dropped."""

    input_ids: np.ndarray
    labels: np.ndarray
    notes: tuple[str, ...]
    overlong: bool = False
    truncated: bool = False


class DocumentMaker:
    """Applies a prompt type, an encoder and rules to one conversation after the other."""

    def __init__(self, renderer: Renderer, encoder: Encoder, rules: Rules) -> None:
        self.renderer, self.encoder, self.rules = renderer, encoder, rules
        self.special_text = SpecialText(renderer.tokenizer, rules.special_tokens_in_text)
        self.thought = encoder.encode(EMPTY_THOUGHT)
        # a policy that is asked for sees rows whole; otherwise templates cut first, as in the reference
        self.cut_at = NO_LIMIT if rules.overlong else rules.seq_length or cutting.DEFAULT_LIMIT

    def make(self, conversation: Conversation) -> Document:
        """A conversation's ids and labels, cut and checked by the rules.

        Raises:
            Rejected: the row cannot be rendered, renders to nothing, or breaks a rule.
        """
        conversation = self.special_text.apply(conversation)
        encoded = self._encode(conversation)
        # a text is all answer, and no template cuts it
        turns = [(_joined([]), encoded[0])] if conversation.is_text else self._cut(encoded)
        ids, labels = self._join(turns)
        if not len(ids):
            raise Rejected("renders to no token at all")
        whole = sum(map(len, encoded)) + self.renderer.template.efficient_eos + self.rules.append_eod
        cut = len(ids) < whole
        notes = silent_losses.of(conversation, self.renderer.template)
        if cut and not self.rules.seq_length:
            notes += (CUT,)
        if self.rules.strict and (odd := [note for note in notes if note != ESCAPED]):
            raise Rejected(odd[0])
        return self._fit(Document(ids, labels, notes, truncated=cut))

    def _encode(self, conversation: Conversation) -> list[np.ndarray]:
        """Ids of each message."""
        template, rules = self.renderer.template, self.rules
        if template.reasoning and rules.enable_thinking is False:
            conversation = Conversation(
                tuple(
                    Message(each.role, without_thought(each.content)) if position % 2 else each
                    for position, each in enumerate(conversation.messages)
                ),
                conversation.system,
                conversation.tools,
                conversation.notes,
            )
        encoded = [
            _joined(
                [np.array([p], np.int32) if isinstance(p, int) else self.encoder.encode(p) for p in pieces]
            )
            for pieces in self.renderer.messages(conversation)
        ]
        if template.reasoning and not conversation.is_text:
            for position in range(0, len(encoded), 2):
                answer = conversation.messages[position + 1].content
                if THINK in answer or END_THINK in answer:
                    continue
                if rules.enable_thinking:
                    encoded[position + 1] = _joined([self.thought, encoded[position + 1]])
                else:
                    encoded[position] = _joined([encoded[position], self.thought])
        return encoded

    def _cut(self, encoded: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """(source, target) pairs within the limit."""
        limit, formula = self.cut_at, cutting.by_share
        if self.renderer.template.reasoning:
            limit, formula = self.cut_at - 1, cutting.by_need
        turns, total = [], 0
        for source, target in zip(encoded[::2], encoded[1::2], strict=True):
            if total >= limit:
                break
            most_source, most_target = formula(len(source), len(target), limit - total)
            source, target = source[:most_source], target[:most_target]
            total += len(source) + len(target)
            turns.append((source, target))
        return turns

    def _join(self, turns: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
        rules, efficient = self.rules, self.renderer.template.efficient_eos
        eos = np.array([self.renderer.eos_id], np.int32)
        ids: list[np.ndarray] = []
        labels: list[np.ndarray] = []
        for source, target in turns:
            masked = np.full(len(source), IGNORED, np.int32)
            if efficient and any(map(len, ids)) and len(masked):
                masked[0] = self.renderer.eos_id  # the answer before ends here, though its input shows no eos
            if rules.neat_pack and not rules.overlong:
                assert rules.seq_length
                kept_source, kept_target = cutting.by_need(len(source), len(target), rules.seq_length - 1)
                source, masked, target = source[:kept_source], masked[:kept_source], target[:kept_target]
            ids += [source, target]
            labels += [masked, target]
        if efficient:
            ids.append(eos)
            labels.append(eos)
        if rules.append_eod:
            ids.append(eos)
            labels.append(eos)
        return _joined(ids), _joined(labels)

    def _fit(self, document: Document) -> Document:
        """Drop or cut a document that does not fit into seq_length."""
        limit, rules = self.rules.seq_length, self.rules
        length = len(document.input_ids)
        if limit is None or length < limit:
            return document
        if rules.overlong is None and rules.neat_pack:
            return document._replace(
                input_ids=document.input_ids[: limit - 1], labels=document.labels[: limit - 1], truncated=True
            )
        if rules.overlong != "truncate-keep-eos":
            return document._replace(overlong=True, truncated=False)
        ids, labels = document.input_ids, document.labels
        tail = self._ending(ids)
        room = max(limit - 1 - tail, 0)
        # only an answer can be ended: a cut within a question goes back to the answer before it
        answered = np.flatnonzero(labels[:room] == ids[:room])
        if not len(answered):
            return document._replace(overlong=True)  # the question alone fills it
        end = int(answered[-1]) + 1
        end -= self._ending(ids[:end])  # that answer may have come to its own end
        ids, labels = (np.concatenate([array[:end], array[length - tail :]]) for array in (ids, labels))
        return document._replace(input_ids=ids, labels=labels, truncated=True)

    def _ending(self, ids: np.ndarray) -> int:
        """How many of the last tokens are the end marker: from the first stop token among the last four."""
        last = ids[-4:].tolist()
        return next((len(last) - i for i, each in enumerate(last) if each in self.renderer.stop_token_ids), 0)


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate(arrays) if arrays else np.empty(0, np.int32)
