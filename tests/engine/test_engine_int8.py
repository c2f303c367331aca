"""Weights that generation rounds to int8: how far off they are, and that kernels compute with what they stand for."""

import numpy as np
import pytest
from engine_oracle import SMALL, mcore, model
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy import Lazy

from distillery import model_config
from distillery.engine import panels
from distillery.problems import Problem

runner_choice = Lazy("distillery.engine.runner_choice")


def rows(packed: np.ndarray, outputs: int) -> np.ndarray:
    """The weights [outputs, inputs] that panels stand for."""
    wide = panels.widened(packed)
    return wide.swapaxes(1, 2).reshape(-1, wide.shape[1])[:outputs]


def ungated(packed: np.ndarray, outputs: int) -> np.ndarray:
    halves = np.split(panels.widened(packed), 2, axis=-1)
    parts = [part.swapaxes(1, 2).reshape(-1, part.shape[1])[: outputs // 2] for part in halves]
    return np.concatenate(parts)


def bound(weight: np.ndarray) -> np.ndarray:
    """Half a scale: the largest of 64 inputs' weights over 254, and what float32 rounds."""
    blocks = [weight[:, at : at + 64] for at in range(0, weight.shape[1], 64)]
    return np.concatenate(
        [np.broadcast_to(np.abs(b).max(1, keepdims=True) / 254 * (1 + 1e-5), b.shape) for b in blocks], 1
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 50), st.integers(1, 200), st.sampled_from([1e-30, 0.02, 1e20]), st.integers(0, 9))
def test_a_weight_is_off_by_half_a_scale_at_most(outputs, inputs, size, seed):
    weight = np.random.RandomState(seed).standard_normal((2 * outputs, inputs)).astype(np.float32)
    weight[:, : inputs // 3] *= 40  # a block of its own scale
    weight[seed % outputs] = 0
    weight *= np.float32(size)
    for packed, back in (
        (panels.pack(weight, panels.INT8), rows),
        (panels.pack_gated(weight, panels.INT8), ungated),
    ):
        assert packed.dtype == np.int8 and packed.shape[1] == inputs + 4 * -(-inputs // 64)
        assert (np.abs(back(packed, 2 * outputs) - weight) <= bound(weight)).all()
    assert not rows(panels.pack(weight, panels.INT8), 10**6)[2 * outputs :].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_weight_that_is_no_number_is_not_rounded_away(bad):
    weight = np.ones((3, 70), np.float32)
    weight[1, 5] = bad
    found = rows(panels.pack(weight, panels.INT8), 3)
    assert np.isnan(found[1, :64]).all() and np.allclose(np.delete(found, 1, 0), 1)


@pytest.mark.mindspore
def test_scores_are_those_of_the_rounded_weights_to_the_last_bit_whatever_the_batch():
    made = model("qwen3", max_position_embeddings=256, head_dim=10)
    arch, state = model_config.from_config(made.config.to_dict()), mcore(made)

    def back(name: str, weight: np.ndarray) -> np.ndarray:
        if weight.ndim < 2:
            return weight
        gated = "linear_fc1" in name
        packed = (panels.pack_gated if gated else panels.pack)(weight, panels.INT8)
        return (ungated if gated else rows)(packed, len(weight))

    copy = {name: back(name, weight) for name, weight in state.items()}
    ids = np.random.RandomState(0).randint(0, SMALL["vocab_size"], 70).tolist()

    def scores(weights, kind):
        cached = runner_choice.build(arch, weights, 8, 80, kernels="native", weights=kind)
        found = [*cached.extend({0: ids}, greedy=False).values()]
        found += cached.extend({slot: ids[: 3 + slot] for slot in range(1, 8)}, greedy=False).values()
        for count in 1, 4, 8:
            found += cached.extend({slot: [3] for slot in range(count)}, greedy=False).values()
        return cached, found

    held, found = scores(state, "int8")
    assert held.table.asnumpy().dtype == held.layers[0][8].asnumpy().dtype == np.int8
    _, wanted = scores(copy, "stored")
    _, exact = scores(state, "stored")
    for one, other, original in zip(found, wanted, exact, strict=True):
        assert one.tobytes() == other.tobytes()
        assert 0 < np.abs(one - original).max() < 0.05 * np.abs(original).max()
    with pytest.raises(Problem, match="--weights"):
        runner_choice.build(arch, state, 2, 80, kernels="composed", weights="int8")
