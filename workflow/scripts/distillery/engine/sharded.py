"""AdamW on a mesh of ranks.

Gradients are summed over data ranks, the norm is taken over the whole model, and with ZeRO-1 (arXiv 1910.02054) each
data rank keeps and updates its share of the moments.

All parameters are one flat vector here, so that a step has one long sum instead of many short ones.
"""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from distillery.checkpoint_names import TABLES
from distillery.engine.collectives import Sum
from distillery.engine.mesh import Mesh
from distillery.engine.optimizer import KINDS, hyper, share_of, vector
from distillery.engine.train_settings import Settings

REPLICATED = ("layernorm.weight",)  # endings of the names that every tensor rank holds whole


class ShardedOptimizer(nn.Cell):
    """Same use as optimizer.Optimizer.

    Args:
        tied: the first and the last stage hold copies of one table, whose gradients are summed.
        zero: shard the moments over data ranks.
    """

    def __init__(
        self,
        names: list[str],
        parameters: list[Parameter],
        settings: Settings,
        mesh: Mesh,
        tied: bool,
        zero: bool,
    ):
        super().__init__()
        self.settings = settings
        self.names = names
        self.parameters = ParameterTuple(parameters)
        self.sizes = tuple(int(np.prod(p.shape)) for p in parameters)
        self.shapes = tuple(tuple(p.shape) for p in parameters)
        shares = mesh.data if zero else 1
        self.total = sum(self.sizes)
        share = -(-self.total // shares)
        self.padding = share * shares - self.total
        self.before = share * mesh.data_rank if zero else 0
        self.share, self.after = share, share * shares - share - self.before
        self.zero = zero and mesh.data > 1
        decays = [settings.weight_decay if p.ndim > 1 else 0.0 for p in parameters]
        whole = np.concatenate(
            [np.full(n, decay, np.float32) for n, decay in zip(self.sizes, decays, strict=True)]
        )
        self.decays = Tensor(share_of(whole, self.total, self.before, share))
        self.first, self.second = (
            Parameter(Tensor(np.zeros(share, np.float32)), name=name, requires_grad=False) for name in KINDS
        )
        shared = tied and mesh.pipeline > 1
        self.is_shared = tuple(shared and name in TABLES for name in names)
        self.counted = tuple(
            (mesh.tensor_rank == 0 or not name.endswith(REPLICATED))
            and not (shared and name == "output_layer.weight")
            for name in names
        )
        self.over_ends = Sum(mesh.peers("ends") if mesh.first or mesh.last else (mesh.rank,))
        self.over_data = Sum(mesh.peers("data"))
        self.over_tensor, self.over_pipeline = Sum(mesh.peers("tensor")), Sum(mesh.peers("pipeline"))

    def construct(self, gradients: tuple[Tensor, ...], hyper: Tensor) -> Tensor:
        """Sum, clip, update, and return the gradient norm of the whole model before clipping."""
        flat = ()
        for gradient, shared in zip(gradients, self.is_shared):  # noqa: B905 (jit has no strict)
            flat = flat + ((self.over_ends(gradient) if shared else gradient).reshape(-1),)
        flat = self.over_data(self.padded(ops.concat(flat)))
        squares, at = ops.zeros((1,), ms.float32), 0
        for size, counted in zip(self.sizes, self.counted):  # noqa: B905
            if counted:
                part = flat[at : at + size]
                squares = squares + (part * part).sum()
            at = at + size
        norm = ops.sqrt(self.over_pipeline(self.over_tensor(squares))).reshape(())
        clip = ops.minimum(hyper[4] / (norm + 1e-6), ops.ones_like(norm))
        gradient = self.mine(flat) * clip
        values = ()
        for parameter in self.parameters:
            values = values + (parameter.reshape(-1),)
        return ops.depend(norm, self.update(self.mine(self.padded(ops.concat(values))), gradient, hyper))

    def update(self, value: Tensor, gradient: Tensor, hyper: Tensor) -> Tensor:
        """AdamW on this rank's share; then every rank gets all of the new values."""
        s = self.settings
        first = s.beta1 * self.first + (1 - s.beta1) * gradient
        second = s.beta2 * self.second + (1 - s.beta2) * gradient * gradient
        change = first / (ops.sqrt(second) + hyper[1]) + hyper[2] * self.decays * value
        new = value - hyper[0] * change
        new = ops.depend(new, (ops.assign(self.first, first), ops.assign(self.second, second)))
        if self.zero:
            new = self.over_data(ops.pad(new, (self.before, self.after)))
        done, at = new, 0
        for parameter, size, shape in zip(self.parameters, self.sizes, self.shapes):  # noqa: B905
            done = ops.depend(done, ops.assign(parameter, new[at : at + size].reshape(shape)))
            at = at + size
        return done

    def padded(self, flat: Tensor) -> Tensor:
        return ops.pad(flat, (0, self.padding)) if self.padding else flat

    def mine(self, flat: Tensor) -> Tensor:
        return flat[self.before : self.before + self.share]

    def hyper(self, step: int) -> Tensor:
        return hyper(self.settings, step)

    def moments(self) -> dict[str, Parameter]:
        """{name: parameter} of this rank's state that must survive a restart."""
        return {parameter.name: parameter for parameter in (self.first, self.second)}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Continue from the moments of a checkpoint, whatever number of data-parallel ranks wrote it."""
        for parameter in (self.first, self.second):
            whole = vector(state, parameter.name, self.names)
            parameter.set_data(Tensor(share_of(whole, self.total, self.before, self.share)))
