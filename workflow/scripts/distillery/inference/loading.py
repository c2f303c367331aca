"""Weights of either form into a model with a cache."""

from __future__ import annotations

from distillery.checkpoint import states
from distillery.engine import runners
from distillery.engine.generation import Runner
from distillery.inference.weights import Weights


def runner(found: Weights, slots: int, longest: int, device: str, kernels: str) -> Runner:
    """A model that keeps `slots` sequences of at most `longest` tokens."""
    state = states.load_state(found.directory)
    return runners.build(found.architecture, state, slots, longest, device, kernels)
