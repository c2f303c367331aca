"""Beam search over one request, and its sampling variant.

Scores, ties of finished with running beams, and the moment the search stops are those of transformers'
`generate(num_beams=...)` with early_stopping=False, so that equal weights give equal answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distillery import ranges, schema
from distillery.engine.generation import Answer, Request, Stopping, check_scores
from distillery.engine.token_sampling import Sampling, draw_distinct, generator, kept, log_probabilities
from distillery.problems import UsageProblem


@dataclass(frozen=True)
class Beams:
    """How beam search looks for answers.

    Args:
        num_beams: sequences kept alive; at least 2.
        num_answers: the best so many are returned; at most num_beams.
        length_penalty: a finished sequence scores its summed log-probability / tokens ** length_penalty,
            so above 0 favours long answers, below 0 short ones.
    """

    num_beams: int = 2
    num_answers: int = 1
    length_penalty: float = 1.0

    def __post_init__(self) -> None:
        if self.num_beams < 2:
            raise UsageProblem(
                "one beam is no beam search",
                where="--num-beams",
                found=self.num_beams,
                wanted="at least 2",
                fix="use --task greedy or --task do_sample",
            )
        within = schema.at("experiments.*.generate.length_penalty")
        if not ranges.holds(self.length_penalty, within):
            raise UsageProblem(
                "answers cannot be compared so",
                where="--length-penalty",
                found=self.length_penalty,
                wanted=ranges.words(within),
            )
        if not 1 <= self.num_answers <= self.num_beams:
            raise UsageProblem(
                "a beam search cannot return more answers than it has beams",
                where="--num-samples, --num-beams",
                found=f"{self.num_answers} answers of {self.num_beams} beams",
                wanted="1 <= num_samples <= num_beams",
                fix=f"add --num-beams {self.num_answers}",
            )


@dataclass(frozen=True)
class Beam:
    """One continuation of a prompt: its ids, and the stop that ended it."""

    score: np.float32  # summed log-probability; when finished, with the length penalty
    tokens: tuple[int, ...] = ()
    stop: str | None = None


class BeamSearch:
    """`generation.Search` over beams; with `sampling`, continuations are drawn instead of ranked."""

    greedy = False

    def __init__(self, request: Request, stopping: Stopping, beams: Beams, sampling: Sampling | None = None):
        self.request, self.stopping, self.beams, self.sampling = request, stopping, beams, sampling
        self.width = beams.num_beams
        # so many candidates that enough go on even if each stop id is among every beam's best
        self.candidates = max(2, 1 + len(stopping.stop_ids)) * beams.num_beams
        self.random = generator(request.seed)
        self.live = [Beam(np.float32(0))]
        self.finished: list[Beam] = []

    def advance(self, rows: np.ndarray) -> list[tuple[int, int]]:
        """See `generation.Search`; rows: float32 logits [live, vocab]."""
        length = len(self.live[0].tokens) + 1
        check_scores(rows, self.request, length - 1)
        scale = np.float32(length**self.beams.length_penalty)
        going: list[tuple[Beam, int]] = []
        for place, (score, source, token) in enumerate(self._continuations(rows)):
            tokens = (*self.live[source].tokens, token)
            stop = self.stopping.reason(tokens)
            if stop is None:
                going.append((Beam(score, tokens), source))
            elif place < self.width:  # lower ranks are there to go on, not to finish
                self.finished.append(Beam(score / scale, tokens, stop))
        self.finished = sorted(self.finished, key=lambda beam: -beam.score)[: self.width]
        going = sorted(going, key=lambda item: -item[0].score)[: self.width]
        self.live = [beam for beam, _ in going]
        # the best live beam is judged as if it ended here, as transformers does
        full = len(self.finished) == self.width
        if not going or (full and self.live[0].score / scale <= self.finished[-1].score):
            return []
        return [(source, beam.tokens[-1]) for beam, source in going]

    def answers(self) -> list[Answer]:
        """The best comes last: whoever has seen rank 0 has seen them all."""
        best = list(enumerate(self.finished[: self.beams.num_answers]))
        return [Answer(self.request, beam.tokens, beam.stop, rank) for rank, beam in reversed(best)]

    def _continuations(self, rows: np.ndarray) -> list[tuple[np.float32, int, int]]:
        """(score, beam, token) of the candidates; best first, or in the order they were drawn."""
        ids, scores = [], []
        for beam, row in zip(self.live, log_probabilities(rows), strict=True):
            kept_ids, kept_scores = np.arange(row.size), row
            if self.sampling is not None:
                kept_ids, kept_scores = kept(row, self.sampling, least=1 + len(self.stopping.stop_ids))
            ids.append(kept_ids)
            scores.append(kept_scores + beam.score)
        sources = np.repeat(np.arange(len(ids)), [len(each) for each in ids])
        tokens, flat = np.concatenate(ids), np.concatenate(scores)
        if self.sampling is not None:
            chosen = draw_distinct(flat.astype(np.float64), self.candidates, self.random)
        else:
            top = np.argpartition(-flat, min(self.candidates, flat.size) - 1)[: self.candidates]
            top.sort()  # equal scores: the lower beam and id first
            chosen = top[np.argsort(-flat[top], kind="stable")]
        return [(flat[i], int(sources[i]), int(tokens[i])) for i in chosen]
