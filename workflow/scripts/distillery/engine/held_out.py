"""Evaluation on held-out documents: when, on which, and whether the loss is the best so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from distillery.engine.batches import Batch, Rows, micro_batches
from distillery.engine.mixture import Mixture, ordered
from distillery.engine.train_settings import Settings


class HeldOut:
    """The documents kept from training, and the lowest loss on them.

    Args:
        documents: of each dataset; none: there are no evaluations.
        every: steps from one evaluation to the next, and there is one after the last step; 0: none.
        global_batches: of one evaluation, always the same; 0: none.
        best: lowest loss before a run was resumed.
        mixture: of the datasets, whose shares an evaluation has as training has them; None for one.
    """

    def __init__(
        self,
        rows: Rows,
        documents: Sequence[range],
        settings: Settings,
        every: int,
        global_batches: int,
        best: float | None,
        mixture: Mixture | None = None,
    ):
        self._rows, self._settings, self._best = rows, settings, best
        self._every = every if any(documents) and global_batches else 0
        self._samples = global_batches * settings.global_batch_size
        self._documents, self._mixture = documents, mixture

    def due(self, step: int) -> bool:
        """Whether there is an evaluation after this step."""
        return bool(self._every) and (step % self._every == 0 or step == self._settings.train_iters)

    def loss(self, evaluate: Callable[[list[Batch]], float]) -> float:
        """Mean loss, a global batch at a time: all of them would take as much memory as the model.

        Args:
            evaluate: micro-batches -> their mean loss as in training.
        """
        settings = self._settings
        sequence = ordered(self._documents, self._mixture, self._samples, settings)
        losses, weights = [], []
        for at in range(0, len(sequence), settings.global_batch_size):
            documents = sequence[at : at + settings.global_batch_size]
            batches = micro_batches(self._rows, documents, settings)
            losses.append(evaluate(batches))
            weights.append(sum(b.supervised for b in batches) if settings.per_token_loss else 1)
        return sum(w * x for w, x in zip(weights, losses, strict=True)) / max(sum(weights), 1)

    def is_best(self, loss: float) -> bool:
        """Whether no finite loss was lower; it is remembered then."""
        best = math.isfinite(loss) and (self._best is None or loss <= self._best)
        if best:
            self._best = loss
        return best
