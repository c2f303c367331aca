"""Several datasets in one training: whose turn each sample is, as Megatron's blended dataset has it.

    blended([0.7, 0.3], 5)    # [0, 1, 0, 0, 1], each time the next row of that dataset

Each dataset's own documents follow in the order of `batches.order`; the mix is the whole order's only addition, so that the
number of consumed samples still is all the state that a training resumes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from distillery.engine.batches import Rows, order, split


class Drawing(Protocol):
    """Of a training's settings those that decide which rows it takes when."""

    @property
    def split(self) -> tuple[float, float, float]: ...
    @property
    def train_iters(self) -> int: ...
    @property
    def global_batch_size(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def shuffle(self) -> bool: ...


@dataclass(frozen=True)
class Mixture:
    """Datasets whose rows stand one after the other in `Rows`.

    Attributes:
        names: of the datasets.
        rows: of each dataset.
        weights: their shares of the samples, or
        epochs: how often each is seen where another is seen once; one of the two is None.
    """

    names: tuple[str, ...]
    rows: tuple[int, ...]
    weights: tuple[float, ...] | None = None
    epochs: tuple[float, ...] | None = None

    def shares(self, documents: Sequence[range]) -> dict[int, float]:
        """Weights whose sum is 1, by the place of each dataset that has any of these documents."""
        given = self.weights or [
            epochs * len(part) for epochs, part in zip(self.epochs or (), documents, strict=True)
        ]
        kept = {number: given[number] for number, part in enumerate(documents) if part}
        weights = np.array(list(kept.values()), np.float64)
        return dict(zip(kept, (weights / np.sum(weights)).tolist(), strict=True))

    def counts(self, documents: np.ndarray) -> dict[str, int]:
        """How many of these documents are of each dataset, by its name."""
        found = np.bincount(self.of(documents), minlength=len(self.names)).tolist()
        return dict(zip(self.names, found, strict=True))

    def of(self, documents: np.ndarray) -> np.ndarray:
        """Which dataset each of these documents is of, as its place among the names."""
        return np.searchsorted(np.cumsum(self.rows), documents, side="right")


@dataclass(frozen=True)
class Course:
    """What a training sees: document numbers [samples] in their order, and those of each dataset for training and evaluation."""

    sequence: np.ndarray
    training: tuple[range, ...]
    held_out: tuple[range, ...]


def course(rows: Rows, mixture: Mixture | None, settings: Drawing) -> Course:
    """The whole order of a training: `split` holds out a share of each dataset.

    Raises:
        Problem: there is no document to train on.
    """
    counts = mixture.rows if mixture else (len(rows),)
    first, training, held_out = 0, [], []
    for count in counts:
        here, others, _ = split(count, settings.split)
        training.append(range(first + here.start, first + here.stop))
        held_out.append(range(first + others.start, first + others.stop))
        first += count
    samples = settings.train_iters * settings.global_batch_size
    sequence = ordered(training, mixture, samples, settings)
    return Course(sequence, tuple(training), tuple(held_out))


def ordered(
    documents: Sequence[range], mixture: Mixture | None, samples: int, settings: Drawing
) -> np.ndarray:
    """Document numbers of samples 0..samples-1, each dataset's own order among its turns.

    Raises:
        Problem: there is no document.
    """
    if mixture is None:
        return order(documents[0], samples, settings.seed, settings.shuffle)
    # a dataset without documents would get turns all the same: equals go to the first
    shares = mixture.shares(documents) or {0: 1.0}
    turns = blended(list(shares.values()), samples)
    sequence = np.empty(samples, np.int64)
    for turn, number in enumerate(shares):
        mine = turns == turn
        if count := int(mine.sum()):
            sequence[mine] = order(documents[number], count, settings.seed, settings.shuffle)
    return sequence


def blended(weights: Sequence[float], size: int) -> np.ndarray:
    """Which dataset each of `size` samples is of: the one that lags furthest behind its share, the first of equals.

    Megatron-core's `build_blending_indices` (megatron/core/datasets/helpers.cpp), whose second array counts each dataset's
    turns. A beginning of a longer order is the order of fewer samples.

    Args:
        weights: above 0, their sum is 1.
    """
    turns, counts = [0] * size, [0] * len(weights)
    numbered = list(enumerate(weights))
    for sample in range(size):
        place = max(float(sample), 1.0)
        chosen, lag = 0, weights[0] * place - counts[0]
        for number, weight in numbered:
            if (behind := weight * place - counts[number]) > lag:
                chosen, lag = number, behind
        turns[sample] = chosen
        counts[chosen] += 1
    return np.array(turns, np.int16)
