"""Answer many prompts with one model: continuous batching over the slots of a KV cache.

    for answer in generate(runner, requests, Stopping(128, stop_ids), Greedy()):
        ...

Every request runs on its own: what is drawn for it depends on its prompt and seed, not on its company.
A slot is refilled as soon as its answer ends; longest prompts go first, so that the run does not end
with one long straggler.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from distillery.engine.token_sampling import Sampling, draw, generator
from distillery.problems import Problem

EOS, LENGTH, STOP_WORD = "eos", "length", "stop_word"
SLACK = (
    8  # tokens decoded before the longest stop word: some decoders treat the first token of a text specially
)


@dataclass(frozen=True)
class Request:
    """A prompt to be answered.

    Args:
        index: names the request in its answer.
        prompt: token ids, at least one.
        seed: of this answer's random stream.
        name: what a Problem calls the prompt.
    """

    index: int
    prompt: tuple[int, ...]
    seed: int = 0
    name: str = ""


@dataclass(frozen=True)
class Answer:
    """What was generated for a request.

    Args:
        tokens: the generated ids, a stop id included.
        stop: "eos", "length" or "stop_word".
    """

    request: Request
    tokens: tuple[int, ...]
    stop: str
    rank: int = 0  # place among several answers of one beam search


@dataclass(frozen=True)
class Stopping:
    """When an answer ends.

    Args:
        max_new_tokens: at least 1.
        stop_ids: ids that end an answer; the id itself is the answer's last token.
        stop_words: texts that end an answer as soon as they appear in it.
        text_of: decodes ids; needed with stop_words only.
    """

    max_new_tokens: int
    stop_ids: frozenset[int] = frozenset()
    stop_words: tuple[str, ...] = ()
    text_of: Callable[[Sequence[int]], str] | None = field(default=None, compare=False)

    def reason(self, tokens: Sequence[int]) -> str | None:
        """Why the answer `tokens` ends with its last token, or None if it goes on."""
        if tokens[-1] in self.stop_ids:
            return EOS
        if self.stop_words:
            # a token is at least one byte, so a word that just ended began at most this many tokens ago
            reach = SLACK + max(len(word.encode()) for word in self.stop_words)
            tail = self.text_of(tokens[-reach:])
            if any(word in tail for word in self.stop_words):
                return STOP_WORD
        return LENGTH if len(tokens) >= self.max_new_tokens else None

    def trim(self, text: str) -> str:
        """`text` up to the first stop word."""
        ends = [text.find(word) for word in self.stop_words]
        return text[: min((end for end in ends if end >= 0), default=len(text))]


class Runner(Protocol):
    """A model with `slots` sequences in its cache (`cache.CachedDecoder` is one)."""

    slots: int

    def cut(self, slot: int, length: int) -> None: ...

    def extend(self, tokens: dict[int, Sequence[int]], greedy: bool) -> dict[int, np.ndarray]: ...

    def reorder(self, sources: dict[int, int]) -> None: ...


class Search(Protocol):
    """The state of one request: it owns `width` slots, numbered from 0 here."""

    width: int
    greedy: bool  # True: `advance` gets the most likely ids instead of logits

    def advance(self, rows: np.ndarray) -> list[tuple[int, int]]:
        """Take the scores of the live sequences: [live, vocab], or [live] ids.

        Returns (the one it continues, its next token) for every sequence that goes on; [] when the search is over.
        """
        ...

    def answers(self) -> list[Answer]: ...


class Sampled:
    """One sequence, each token drawn with `sampling`, or the most likely one if that is None."""

    width = 1

    def __init__(self, request: Request, stopping: Stopping, sampling: Sampling | None):
        self.request, self.stopping, self.sampling = request, stopping, sampling
        self.greedy = sampling is None
        self.random = generator(request.seed)
        self.tokens: list[int] = []
        self.stop: str | None = None

    def advance(self, rows: np.ndarray) -> list[tuple[int, int]]:
        check_scores(rows, self.request, len(self.tokens))
        token = int(rows[0]) if self.sampling is None else draw(rows[0], self.sampling, self.random)
        self.tokens.append(token)
        self.stop = self.stopping.reason(self.tokens)
        return [(0, token)] if self.stop is None else []

    def answers(self) -> list[Answer]:
        return [Answer(self.request, tuple(self.tokens), self.stop)]


def check_scores(rows: np.ndarray, request: Request, count: int) -> None:
    """Stop at scores that no token can be chosen from.

    Args:
        rows: float32 logits [live, vocab], or [live] ids, of which -1 stands for scores without a highest one.
        count: tokens generated so far.

    Raises:
        Problem: a score is NaN or infinite.
    """
    highest = rows if rows.ndim == 1 else rows.max(-1)  # of numbers with a NaN among them it is NaN
    if not np.isfinite(highest).all() or (rows.ndim == 1 and rows.min() < 0):
        raise Problem(
            "the model's scores are no numbers (NaN or infinite)",
            where=f"prompt {request.name or request.index}, token {count + 1} of its answer",
            fix="the weights are broken: look at the training's loss and gradient norms, and take an earlier checkpoint",
        )


def generate(
    runner: Runner,
    requests: Iterable[Request],
    begin: Callable[[Request], Search],
    before_step: Callable[[], None] = lambda: None,
) -> Iterator[Answer]:
    """Yield answers as they end (the order depends on the batch; their content does not).

    Args:
        runner: its slots are all taken over.
        begin: makes the search of a request; all have the same width and greediness.
        before_step: called before each step; what it raises ends the run.
    """
    waiting = deque(sorted(requests, key=lambda r: (-len(r.prompt), r.index)))
    free: list[list[int]] | None = None
    active: list[tuple[Search, list[int]]] = []  # a search and the slots of its live sequences
    groups: dict[int, list[int]] = {}  # id of a search -> all its slots
    feed: dict[int, Sequence[int]] = {}
    while waiting or active:
        while waiting and (free is None or free):
            search = begin(waiting[0])
            if free is None:
                free = [list(range(i, i + search.width)) for i in range(0, runner.slots, search.width)][::-1]
                free = [group for group in free if len(group) == search.width and group[-1] < runner.slots]
            slots = free.pop()
            runner.cut(slots[0], 0)
            feed[slots[0]] = waiting.popleft().prompt
            groups[id(search)] = slots
            active.append((search, slots[:1]))
        before_step()
        rows = runner.extend(feed, greedy=active[0][0].greedy)
        feed, sources, still = {}, {}, []
        for search, live in active:
            onward = search.advance(np.stack([rows[slot] for slot in live]))
            slots = groups[id(search)]
            if onward:
                for slot, (source, token) in zip(slots, onward, strict=False):
                    feed[slot] = (token,)
                    if live[source] != slot:
                        sources[slot] = live[source]
                still.append((search, slots[: len(onward)]))
            else:
                yield from search.answers()
                free.append(groups.pop(id(search)))
        active = still
        if sources:
            runner.reorder(sources)
