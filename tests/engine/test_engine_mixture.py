"""The order of a mix, against Megatron-core's own blending index, and what `split` holds out of each dataset."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from engine_settings import SETTINGS
from hypothesis import given
from hypothesis import strategies as st
from lazy import Lazy

from distillery.engine import batches, mixture
from distillery.engine.batches import Rows
from distillery.engine.mixture import Mixture, blended, course
from distillery.problems import Problem

helpers = Lazy("megatron.core.datasets.helpers")
utils = Lazy("megatron.core.datasets.utils")

pytestmark = pytest.mark.slow  # loads torch


def theirs(weights: list[float], size: int) -> tuple[np.ndarray, np.ndarray]:
    turns, places = np.zeros(size, np.int16), np.zeros(size, np.int64)
    helpers.build_blending_indices(turns, places, weights, len(weights), size, False)
    return turns, places


@pytest.mark.parametrize("seed", range(10))
def test_ten_random_mixes_are_blended_as_megatron_does(seed):
    generator = np.random.RandomState(seed)
    given_weights = generator.uniform(0.01, 5, generator.randint(2, 9)).round(3).tolist()
    count = len(given_weights)
    mix = Mixture(tuple(map(str, range(count))), (7,) * count, tuple(given_weights))
    shares = list(mix.shares([range(7)] * count).values())
    assert shares == utils.normalize(given_weights)
    turns, places = theirs(shares, 5000)
    assert np.array_equal(blended(shares, 5000), turns)
    # their second array counts each dataset's turns, which is how `ordered` hands out its rows
    for number in range(count):
        assert np.array_equal(places[turns == number], np.arange((turns == number).sum()))


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=6), st.integers(1, 300))
def test_any_mix_is_blended_as_megatron_does(weights, size):
    shares = utils.normalize(weights)
    assert np.array_equal(blended(shares, size), theirs(shares, size)[0])


def made(counts, settings, **shares) -> tuple[mixture.Course, Mixture]:
    mix = Mixture(tuple("abc"[: len(counts)]), tuple(counts), **shares)
    rows = [np.zeros(1, np.int32)] * sum(counts)
    return course(Rows(rows, rows, rows), mix, settings), mix


def test_each_dataset_holds_out_its_share_and_keeps_its_own_order():
    settings = replace(SETTINGS, split=(75, 25, 0), train_iters=10, global_batch_size=4, seed=3, shuffle=True)
    way, mix = made((8, 16), settings, weights=(3.0, 1.0))
    assert way.training == (range(6), range(8, 20)) and way.held_out == (range(6, 8), range(20, 24))
    assert mix.counts(way.sequence) == {"a": 30, "b": 10}
    for part in way.training:
        mine = way.sequence[np.isin(way.sequence, part)]
        assert mine.tolist() == batches.order(part, len(mine), 3, True).tolist()
    longer = made((8, 16), replace(settings, train_iters=20), weights=(3.0, 1.0))[0]
    assert np.array_equal(longer.sequence[:40], way.sequence)


def test_epochs_are_shares_of_the_rows_that_are_trained():
    settings = replace(SETTINGS, split=(100, 0, 0), train_iters=8, global_batch_size=4)
    way, _ = made((8, 16), settings, epochs=(2.0, 1.0))
    assert np.bincount(way.sequence).tolist() == [2] * 8 + [1] * 16


def test_one_dataset_is_ordered_as_ever():
    settings = replace(SETTINGS, split=(90, 10, 0), train_iters=5, global_batch_size=4)
    rows = [np.zeros(1, np.int32)] * 10
    way = course(Rows(rows, rows, rows), None, settings)
    assert way.sequence.tolist() == batches.order(range(9), 20, settings.seed, settings.shuffle).tolist()
    assert way.held_out == (range(9, 10),)


def test_a_dataset_without_held_out_rows_has_no_turn_in_an_evaluation():
    settings = replace(SETTINGS, split=(90, 10, 0))
    way, mix = made((2, 20), settings, weights=(1.0, 1.0))
    assert [len(part) for part in way.held_out] == [0, 2]
    assert set(mixture.ordered(way.held_out, mix, 6, settings).tolist()) == set(way.held_out[1])
    with pytest.raises(Problem, match="no documents"):
        mixture.ordered([range(0), range(0)], mix, 6, settings)
