"""Evaluation on held-out documents: when it is due, what its mean is, which loss can be the best."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from engine_settings import SETTINGS

from distillery.engine.batches import Batch, Rows, micro_batches, order
from distillery.engine.held_out import HeldOut
from distillery.marks import IGNORED

GLOBAL, MICRO = 4, 2


@pytest.fixture
def rows() -> Rows:
    rng = np.random.RandomState(0)
    ids = [rng.randint(1, 50, rng.randint(3, 12)).astype(np.int32) for _ in range(40)]
    labels = [np.where(np.arange(len(row)) < 2, IGNORED, row).astype(np.int32) for row in ids]
    return Rows(ids, labels, ids)


def held_out(rows: Rows, **more: object) -> HeldOut:
    chosen = {"documents": range(30, 40), "every": 5, "global_batches": 3, "best": None, "per_token": False}
    chosen |= more
    settings = replace(
        SETTINGS,
        global_batch_size=GLOBAL,
        micro_batch_size=MICRO,
        train_iters=12,
        per_token_loss=chosen.pop("per_token"),
    )
    return HeldOut(rows, [chosen.pop("documents")], settings, **chosen)


def due(evaluation: HeldOut) -> list[int]:
    return [step for step in range(1, 13) if evaluation.due(step)]


def test_it_is_due_every_so_often_and_at_the_end(rows):
    assert due(held_out(rows)) == [5, 10, 12]
    assert due(held_out(rows, every=2000)) == [12]
    for never in ({"every": 0}, {"global_batches": 0}, {"documents": range(40, 40)}):
        assert due(held_out(rows, **never)) == []


@pytest.mark.parametrize("per_token", [False, True])
def test_the_mean_is_that_of_all_batches_together(rows, per_token):
    """A token's loss is its label; the engine's own means are held against torch's elsewhere."""
    sizes = []

    def losses(batch: Batch) -> np.ndarray:
        return batch.labels[batch.labels != IGNORED].astype(np.float64)

    def evaluate(batches: list[Batch]) -> float:
        sizes.append(len(batches))
        found = [losses(batch) for batch in batches]
        return float(np.mean(np.concatenate(found)) if per_token else np.mean([one.mean() for one in found]))

    evaluation = held_out(rows, per_token=per_token)
    everything = micro_batches(rows, order(range(30, 40), 3 * GLOBAL, SETTINGS.seed, False), SETTINGS)
    wanted = evaluate(everything)
    sizes.clear()
    assert evaluation.loss(evaluate) == pytest.approx(wanted)
    assert sizes == [GLOBAL // MICRO] * 3


def test_only_a_finite_loss_can_be_the_best(rows):
    evaluation = held_out(rows, best=2.0)
    told = [evaluation.is_best(loss) for loss in (3.0, math.nan, 1.5, math.inf, 1.6, 1.5, -math.inf)]
    assert told == [False, False, True, False, False, True, False]
    first = held_out(rows)
    assert not first.is_best(math.nan) and first.is_best(9.0)
