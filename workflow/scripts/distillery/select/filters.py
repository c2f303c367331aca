"""Filters that look at one row alone: each says why a row is left out, or None.

filters = RowFilters(Wanted(closed_thoughts=True, overlap_words=13), overlaps={"aime": Overlap(...)})
filters.fault(row)      # ("overlap", "aime: 2024-I-3"), or None
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from distillery.evaluate import extraction
from distillery.select import recorded_answers
from distillery.select.script_shares import ScriptShare
from distillery.tokenize.conversation import Conversation, Rejected
from distillery.tokenize.row_spans import UUID
from distillery.tokenize.similarity import Overlap, words


@dataclass(frozen=True)
class Wanted:
    """The keys of `select` in a configuration; None and False ask for nothing."""

    closed_thoughts: bool = False
    boxed_answer: bool = False
    min_pass_rate: float | None = None
    max_pass_rate: float | None = None
    scripts: tuple[str, ...] = ()
    min_script_share: float = 0.9
    overlap_words: int | None = None
    min_tokens: int | None = None
    max_tokens: int | None = None
    right_answer: bool = False
    exact_duplicates: bool = False
    near_duplicates: bool = False
    max_per_source: int | None = None
    answer_column: str = "answer"
    source_column: str = "source"

    @property
    def compares(self) -> bool:
        """Whether a row is held against those before it."""
        return self.exact_duplicates or self.near_duplicates or self.max_per_source is not None

    @property
    def counts_tokens(self) -> bool:
        """Whether it matters how long rows are."""
        return self.min_tokens is not None or self.max_tokens is not None

    @property
    def rates(self) -> bool:
        """Whether it matters how often a problem was solved."""
        return self.min_pass_rate is not None or self.max_pass_rate is not None

    @property
    def names(self) -> tuple[str, ...]:
        """The filters that are asked for, in the order in which they look at a row."""
        asked = {
            "closed_thoughts": self.closed_thoughts,
            "boxed_answer": self.boxed_answer,
            "pass_rate": self.rates,
            "scripts": self.scripts,
            "overlap": self.overlap_words,
            "tokens": self.counts_tokens,
            "right_answer": self.right_answer,
            "exact_duplicates": self.exact_duplicates,
            "near_duplicates": self.near_duplicates,
            "max_per_source": self.max_per_source,
        }
        return tuple(name for name, is_asked in asked.items() if is_asked)


@dataclass(frozen=True)
class Row:
    """A row that can be learnt: what was made of it, its first question, its last answer (of a text: itself, twice), its columns."""

    conversation: Conversation
    question: str
    answer: str
    columns: Mapping[str, Any]


class RowFilters:
    """Those of `wanted` that look at one row alone, but for the judging of answers."""

    def __init__(
        self,
        wanted: Wanted,
        overlaps: Mapping[str, Overlap],
        length: Callable[[Conversation], int] | None = None,
    ) -> None:
        """Make them ready.

        Args:
            overlaps: of each problem set, by its name.
            length: tokens of a conversation as it is learnt; raises Rejected.
        """
        self.wanted, self.overlaps, self.length = wanted, overlaps, length
        self.share = ScriptShare(wanted.scripts) if wanted.scripts else None
        self.rate_of: dict[str, float | None] = {}
        filters = {
            "closed_thoughts": self._closed_thoughts,
            "boxed_answer": self._boxed_answer,
            "pass_rate": self._pass_rate,
            "scripts": self._scripts,
            "overlap": self._overlap,
            "tokens": self._tokens,
        }
        self.filters = {name: filters[name] for name in wanted.names if name in filters}

    def fault(self, row: Row) -> tuple[str, str] | None:
        """(the first filter that leaves the row out, why)."""
        for name, look in self.filters.items():
            if (detail := look(row)) is not None:
                return name, detail
        return None

    def _closed_thoughts(self, row: Row) -> str | None:
        return "a thought that is not closed" if extraction.unfinished(row.answer) else None

    def _boxed_answer(self, row: Row) -> str | None:
        return "no box behind the thoughts" if extraction.read(row.answer, "eos").boxed is None else None

    def _pass_rate(self, row: Row) -> str | None:
        # a problem's further rows hold one answer each, the first one holds all of them
        rate, uuid = recorded_answers.pass_rate(row.columns), row.columns.get(UUID)
        if uuid is not None:
            rate = self.rate_of.setdefault(str(uuid), rate)
        if rate is None:
            return "no pass rate"
        low, high = self.wanted.min_pass_rate or 0.0, self.wanted.max_pass_rate
        return None if low <= rate <= (1.0 if high is None else high) else f"{rate:.3g}"

    def _scripts(self, row: Row) -> str | None:
        assert self.share
        share = self.share.of("".join(one.content for one in row.conversation.messages))
        return None if share >= self.wanted.min_script_share else f"{share:.3f}"

    def _overlap(self, row: Row) -> str | None:
        found = words(row.question)
        hits = ((name, overlap.find(found)) for name, overlap in self.overlaps.items())
        return next((f"{name}: {problems[0]}" for name, problems in hits if problems), None)

    def _tokens(self, row: Row) -> str | None:
        assert self.length
        try:
            length = self.length(row.conversation)
        except Rejected as error:
            return error.reason
        low, high = self.wanted.min_tokens or 0, self.wanted.max_tokens
        return None if low <= length and (high is None or length <= high) else f"{length} tokens"
