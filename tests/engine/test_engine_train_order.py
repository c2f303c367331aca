"""What a training takes when: learning rates, documents in their order, rows and their cuts, as Megatron has them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy import Lazy

from distillery import cutting
from distillery.engine import batches
from distillery.engine.train_settings import Schedule
from distillery.marks import IGNORED

optimizer_param_scheduler = Lazy("megatron.core.optimizer_param_scheduler")
torch = Lazy("torch")

pytestmark = pytest.mark.mindspore


@given(
    warmup=st.integers(0, 5),
    style=st.sampled_from(["constant", "linear", "cosine"]),
    minimum=st.sampled_from([0.0, 1e-4]),
    batch=st.sampled_from([1, 8]),
)
@settings(max_examples=30, deadline=None)
def test_learning_rates_equal_megatrons(warmup, style, minimum, batch):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    theirs = optimizer_param_scheduler.OptimizerParamScheduler(
        optimizer,
        init_lr=0.0,
        max_lr=1e-2,
        min_lr=minimum,
        lr_warmup_steps=warmup * batch,
        lr_decay_steps=12 * batch,
        lr_decay_style=style,
        start_wd=0.0,
        end_wd=0.0,
        wd_incr_steps=12 * batch,
        wd_incr_style="constant",
    )
    ours_ = Schedule(1e-2, minimum, style, warmup, 12)
    for step in range(1, 16):
        assert ours_.at(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12), step
        theirs.step(increment=batch)


def test_documents_come_in_the_references_order():
    """RandomState(seed) shuffles each epoch anew; the numbers are numpy's, fixed since 1.17."""
    rng = np.random.RandomState(1234)
    epochs = []
    for _ in range(3):
        epoch = np.arange(2, 9)
        rng.shuffle(epoch)
        epochs += epoch.tolist()
    assert batches.order(range(2, 9), 17, 1234, True).tolist() == epochs[:17]
    assert batches.order(range(2, 5), 5, 1234, False).tolist() == [2, 3, 4, 2, 3]
    assert batches.split(10, (90, 10, 0)) == (range(9), range(9, 10), range(10, 10))
    assert [len(part) for part in batches.split(7, (100, 0, 0))] == [7, 0, 0]


def test_long_rows_are_cut_turn_by_turn():
    labels = np.array([IGNORED] * 10 + list(range(20)) + [IGNORED] * 4 + [7, 8], np.int32)
    ids = np.arange(36, dtype=np.int32)
    cut, cut_labels = batches.cut_turns(ids, labels, 12)
    # 10 prompt and 20 answer tokens share 12: int(12 * 20/30) = 8 of the answer, 4 of the prompt
    assert cut.tolist() == [0, 1, 2, 3, *range(10, 18)]
    assert cut_labels.tolist() == [IGNORED] * 4 + list(range(8))
    assert cutting.by_need(10, 3, 20) == (10, 3)
    assert cutting.by_need(100, 3, 20) == (17, 3)
    assert cutting.by_need(3, 100, 20) == (3, 17)
