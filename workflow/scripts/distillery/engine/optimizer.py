"""AdamW with gradient clipping as one node set of the step's graph.

Decoupled weight decay (arXiv 1711.05101) on matrices only, as Megatron does: norms and biases are exempt.
"""

from __future__ import annotations

from types import ModuleType

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn

from distillery.engine import moments
from distillery.engine.train_settings import Settings


class Optimizer(nn.Cell):
    """Updates `parameters` in place.

    Args:
        names: MCore names of the parameters; the moments are called exp_avg.NAME and exp_avg_sq.NAME.
    """

    def __init__(
        self, names: list[str], parameters: list[Parameter], settings: Settings, kernels: ModuleType
    ):
        super().__init__()
        self.names = names
        self.parameters = ParameterTuple(parameters)
        self.first = ParameterTuple(_zeros("exp_avg", names, parameters))
        self.second = ParameterTuple(_zeros("exp_avg_sq", names, parameters))
        self.norm = kernels.GradientNorm()
        decays = [settings.weight_decay if parameter.ndim > 1 else 0.0 for parameter in parameters]
        self.update = kernels.AdamW(settings.beta1, settings.beta2, decays)
        self.settings = settings

    def construct(self, gradients: tuple[Tensor, ...], hyper: Tensor) -> Tensor:
        """Clip, update, and return the gradient norm before clipping. `hyper` comes from `hyper`."""
        norm = self.norm(gradients)
        clip = ms.ops.minimum(hyper[4] / (norm + 1e-6), ms.ops.ones_like(norm))
        return ms.ops.depend(
            norm, self.update(self.parameters, self.first, self.second, gradients, hyper, clip)
        )

    def hyper(self, step: int) -> Tensor:
        return hyper(self.settings, step)

    def moments(self) -> dict[str, Parameter]:
        """{name: parameter} of the state that must survive a restart."""
        return {parameter.name: parameter for parameter in (*self.first, *self.second)}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Continue from the moments of a checkpoint, whatever ranks wrote it."""
        for kind, parameters in zip(moments.KINDS, (self.first, self.second), strict=True):
            whole, at = moments.vector(state, kind, self.names), 0
            for parameter in parameters:
                part = whole[at : at + parameter.size].reshape(parameter.shape)
                parameter.set_data(Tensor(np.ascontiguousarray(part)))
                at += parameter.size


def hyper(settings: Settings, step: int) -> Tensor:
    """float32 [5] of step 1, 2, ...: lr/bc1*r, eps*r, bc1/r, r, largest norm; bc = 1 - beta^step, r = sqrt(bc2).

    The kernel computes m/(sqrt(v) + eps') times lr'; with these values that is
    lr * (m/bc1) / (sqrt(v/bc2) + eps), plus lr * decay * p if decay' = decay * bc1/r.
    """
    first, root = 1 - settings.beta1**step, (1 - settings.beta2**step) ** 0.5
    lr = settings.schedule.at(step)
    largest = settings.clip_grad if settings.clip_grad > 0 else float("inf")
    return Tensor(np.array([lr * root / first, settings.eps * root, first / root, root, largest], np.float32))


def _zeros(prefix: str, names: list[str], parameters: list[Parameter]) -> list[Parameter]:
    return [
        Parameter(Tensor(np.zeros(p.shape, np.float32)), name=f"{prefix}.{name}", requires_grad=False)
        for name, p in zip(names, parameters, strict=True)
    ]
