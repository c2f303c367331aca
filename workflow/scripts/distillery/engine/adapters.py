"""The adapters of a decoder in training: their start, their state, and the weights that they make.

Adapters are the parameters lora_A and lora_B of a decoder's linear layers (decoder_layer.Linear); all other parameters
of such a decoder are frozen: no gradient, no moments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from mindspore import Parameter, Tensor, nn

from distillery.lora import Lora

ENDINGS = (".lora_A", ".lora_B")
STORED = "adapter."  # before a name, beside the moments in a snapshot


def is_adapter(name: str) -> bool:
    """Whether a parameter of a decoder is one of an adapter."""
    return name.endswith(ENDINGS)


def of(model: nn.Cell) -> dict[str, Parameter]:
    """{name: parameter} of all adapters, in the order of the layers."""
    return {name: p for name, p in model.parameters_and_names() if is_adapter(name)}


def weights(model: nn.Cell) -> dict[str, Parameter]:
    """{name: parameter} of all that is no adapter, in the order of the layers."""
    return {name: p for name, p in model.parameters_and_names() if not is_adapter(name)}


def trained(model: nn.Cell) -> dict[str, Parameter]:
    """{name: parameter} of what training changes: the adapters, or everything where there are none."""
    return of(model) or dict(model.parameters_and_names())


def start(model: nn.Cell, seed: int) -> None:
    """Freeze the weights and set the adapters as PEFT does: A uniform within 1 / sqrt(in) of 0, B zero.

    The numbers are those of numpy's PCG64, matrix after matrix in the order of the layers.
    """
    random = np.random.default_rng(seed)
    for name, parameter in model.parameters_and_names():
        if not is_adapter(name):
            parameter.requires_grad = False
        elif name.endswith(ENDINGS[0]):
            bound = parameter.shape[1] ** -0.5
            drawn = random.uniform(-bound, bound, parameter.shape).astype(np.float32)
            parameter.set_data(Tensor(drawn))


def copies(model: nn.Cell) -> dict[str, np.ndarray]:
    """{name in a snapshot: copy} of the adapters."""
    return {STORED + name: p.asnumpy().copy() for name, p in of(model).items()}


def load(model: nn.Cell, stored: Mapping[str, np.ndarray]) -> None:
    """The reverse of `copies`; `stored` may hold more."""
    for name, parameter in of(model).items():
        parameter.set_data(Tensor(np.ascontiguousarray(stored[STORED + name])))


def stored(moments: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """{parameter's name: array} of the adapters in a snapshot's optimizer file."""
    return {name.removeprefix(STORED): a for name, a in moments.items() if name.startswith(STORED)}


class Merged(Mapping[str, np.ndarray]):
    """{MCore name: float32 array} of the weights with the adapters in them, each made when it is looked up.

    The frozen weights are not copied: they never change. So a snapshot of a model takes no second one.
    """

    def __init__(self, model: nn.Cell, lora: Lora):
        self.scale = np.float32(lora.scale)
        self.frozen = {name: p.asnumpy() for name, p in weights(model).items()}
        self.adapters = {name: p.asnumpy().copy() for name, p in of(model).items()}

    def __getitem__(self, name: str) -> np.ndarray:
        weight = self.frozen[name]
        a, b = (self.adapters.get(name.removesuffix(".weight") + ending) for ending in ENDINGS)
        return weight if a is None else weight + self.scale * (b @ a)

    def __iter__(self) -> Iterator[str]:
        return iter(self.frozen)

    def __len__(self) -> int:
        return len(self.frozen)
