"""AdamW with gradient clipping as one node set of the step's graph.

Decoupled weight decay (arXiv 1711.05101) on matrices only, as Megatron does: norms and biases are exempt.

Between runs, one process keeps the moments as an array for each parameter (exp_avg.NAME, exp_avg_sq.NAME), ranks keep
one vector of all parameters of their slice of the model (exp_avg, exp_avg_sq), whole or, with ZeRO-1, cut into equal
shares with zeros at the end. The numbers are the same, so a checkpoint serves any number of data-parallel ranks.
"""

from __future__ import annotations

from types import ModuleType

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn

from distillery.engine.train_settings import Settings

KINDS = ("exp_avg", "exp_avg_sq")


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
        self.first = ParameterTuple(_zeros(KINDS[0], names, parameters))
        self.second = ParameterTuple(_zeros(KINDS[1], names, parameters))
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
        for kind, parameters in zip(KINDS, (self.first, self.second), strict=True):
            whole, at = vector(state, kind, self.names), 0
            for parameter in parameters:
                part = whole[at : at + parameter.size].reshape(parameter.shape)
                parameter.set_data(Tensor(np.ascontiguousarray(part)))
                at += parameter.size


def vector(moments: dict[str, np.ndarray], kind: str, names: list[str]) -> np.ndarray:
    """All parameters' moments of one kind, in the order of `names`; zeros may follow."""
    if kind in moments:
        return moments[kind]
    return np.concatenate([moments[f"{kind}.{name}"].reshape(-1) for name in names])


def share_of(whole: np.ndarray, total: int, before: int, size: int) -> np.ndarray:
    """Elements before .. before + size - 1 of the first `total`, with zeros behind the last."""
    found = np.zeros(size, np.float32)
    part = whole[:total][before : before + size]
    found[: len(part)] = part
    return found


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
