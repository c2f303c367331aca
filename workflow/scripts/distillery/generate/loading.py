"""Weights of either form into a model with a cache, or into one rank's part of it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict

from distillery.convert import states
from distillery.convert.mcore_layout import Layout
from distillery.engine import graph_cache, runner_choice
from distillery.engine.mesh import Mesh
from distillery.engine.slots import Slots
from distillery.generate.weight_kinds import Weights


def part(found: Weights, layout: Layout, mesh: Mesh, slots: int, longest: int, **how: str) -> Slots:
    """What this rank holds of a model for `slots` sequences of at most `longest` tokens.

    Only this rank's slices are read: weights of another layout are merged and cut on the way.

    Args:
        layout: how `mesh` shares the weights.
        how: as `runner_choice.build` takes it: device, kernels, kv_cache_dtype, weights.
    """
    # one rank reads all bytes for all
    state = states.load_state(
        found.directory, layout, mesh.tensor_rank, mesh.pipeline_rank, checked=mesh.rank == 0
    )
    return runner_choice.build(found.architecture, state, slots, longest, mesh=mesh, **how)


def compiled(built: Slots, found: Weights, longest: int, greedy: bool, device: str) -> Slots:
    """The same model, on all of its ranks, its graphs compiled or taken from an earlier run.

    There are two: of a prompt's shape, and of a step's.
    """
    prompt = (
        min(built.slots + 1, longest) if built.links else 2
    )  # ranks have a shape for less tokens than slots
    # neither the weights' values are in the graphs, nor the length asked for: the cache's rows are
    identity = [asdict(found.architecture), built.slots, built.capacity, greedy, device]
    reuse = built.reusable and built.links is None
    with graph_cache.kept(identity) if reuse else nullcontext():
        for tokens in ([0] * prompt, [0]):
            built.extend({0: tokens}, greedy)
            built.cut(0, 0)
    return built
