"""Weights of either form into a model with a cache."""

from __future__ import annotations

import mindspore as ms

from distillery.checkpoint import states
from distillery.engine import runners
from distillery.engine.generation import Runner
from distillery.inference.weights import Weights


def runner(
    found: Weights, slots: int, longest: int, greedy: bool, device: str = "CPU", kernels: str = "auto"
) -> Runner:
    """A model that keeps `slots` sequences of at most `longest` tokens, its graphs compiled."""
    state = states.load_state(found.directory)
    ms.set_device(device)
    built = runners.build(found.architecture, state, slots, longest, device, kernels)
    for tokens in ([0, 0], [0]):  # a prompt's shape, and a step's
        built.extend({0: tokens}, greedy)
        built.cut(0, 0)
    return built
