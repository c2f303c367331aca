"""Choose the next token from logits: temperature, then top-k, then top-p, then a draw.

The order and the treatment of ties are those of transformers' warpers, so that equal settings mean an
equal distribution: https://huggingface.co/docs/transformers/internal/generation_utils. Top-p is nucleus
sampling (arXiv 1904.09751).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distillery import ranges, schema
from distillery.problems import UsageProblem


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn from its logits.

    Args:
        temperature: logits are divided by it.
        top_k: keep the k most likely tokens, and all that tie with the k-th; 0 keeps every token.
        top_p: keep the fewest most likely tokens whose probabilities sum to more than top_p.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        for key, found in vars(self).items():
            within = schema.at(f"experiments.*.generate.{key}")
            if not ranges.holds(found, within):
                raise UsageProblem(
                    "this cannot be sampled from",
                    where=f"--{key.replace('_', '-')}",
                    found=found,
                    wanted=ranges.words(within),
                    fix="--task greedy draws nothing" if key == "temperature" else None,
                )


def kept(scores: np.ndarray, sampling: Sampling, least: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Filter float32 [vocab] logits (or log-probabilities, which differ by a constant).

    Args:
        least: number of tokens that survive any filter (beam search needs more than one).

    Returns:
        (ids, ascending; their scores divided by the temperature).
    """
    scores = scores / np.float32(sampling.temperature)
    ids = np.arange(scores.size)
    if 0 < sampling.top_k < scores.size:
        k = min(max(sampling.top_k, least), scores.size)
        ids = np.flatnonzero(scores >= np.partition(scores, -k)[-k])
    if sampling.top_p < 1:
        order = np.argsort(scores[ids], kind="stable")  # ascending: the tail to cut comes first
        tail = np.cumsum(probabilities(scores[ids[order]]).astype(np.float64))
        cut = tail <= 1 - sampling.top_p
        cut[-least:] = False
        ids = np.sort(ids[order[~cut]])
    return ids, scores[ids]


def probabilities(scores: np.ndarray) -> np.ndarray:
    """Softmax over the last axis."""
    shifted = np.exp(scores - scores.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def log_probabilities(scores: np.ndarray) -> np.ndarray:
    """Log-softmax over the last axis."""
    shifted = scores - scores.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def generator(seed: int) -> np.random.Generator:
    """The random stream of one answer: it depends on its seed only, not on what else is in the batch."""
    return np.random.Generator(np.random.Philox(seed))


def draw(logits: np.ndarray, sampling: Sampling, random: np.random.Generator) -> int:
    """One id from float32 [vocab] logits, by inversion of the cumulative distribution."""
    ids, scores = kept(logits, sampling)
    edges = np.cumsum(probabilities(scores.astype(np.float64)))
    index = np.searchsorted(edges, random.random() * edges[-1], side="right")
    return int(ids[min(index, len(ids) - 1)])


def draw_distinct(scores: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """`count` different indices, drawn one after the other without replacement from softmax(scores).

    The Gumbel top-k trick (arXiv 1903.06059): adding Gumbel noise and sorting gives the same
    distribution over ordered draws. Indices of -inf scores come last.
    """
    noisy = scores + random.gumbel(size=scores.size)
    return np.argsort(-noisy, kind="stable")[:count]
