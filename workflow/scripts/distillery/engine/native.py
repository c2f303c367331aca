"""The decoder's kernels in C++ (native.cpp) as MindSpore Custom ops with their own gradients: for the CPU.

The same Cells as in composed.py, which is their oracle: `check` compares the two before a run uses these.
"""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from distillery.engine import compiling

NAME = "native"


def kernel(name: str, shapes, outputs: int = 1, in_place: bool = False) -> ops.Custom:
    """A function of native.cpp as an op with float32 outputs; `shapes` maps input shapes to theirs."""
    types = ms.float32 if outputs == 1 else (ms.float32,) * outputs
    op = ops.Custom(f"{compiling.library(compiling.SOURCE)}:{name}", shapes, lambda *_: types, "aot")
    if in_place:
        op.add_prim_attr("side_effect_mem", True)
    return op


class _RmsNorm(nn.Cell):
    def __init__(self, eps: float):
        super().__init__()
        self.eps = Tensor(np.array([eps], np.float32))
        self.forward = kernel("rms_forward", lambda x, w, e: (x, [x[0]]), 2)
        self.backward = kernel("rms_backward", lambda d, x, w, r: (x, w), 2)

    def construct(self, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        return self.forward(x, weight, self.eps)

    def bprop(self, x, weight, out, gradient):
        return self.backward(gradient[0], x, weight, out[1])


class RmsNorm(nn.Cell):
    """See composed.RmsNorm."""

    def __init__(self, eps: float):
        super().__init__()
        self.kernel = _RmsNorm(eps)

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.kernel(x, weight)[0]


class SwiGlu(nn.Cell):
    """See composed.SwiGlu."""

    def __init__(self) -> None:
        super().__init__()
        self.forward = kernel("swiglu_forward", lambda x: [x[0], x[1] // 2])
        self.backward = kernel("swiglu_backward", lambda d, x: x)

    def construct(self, gate_up: Tensor) -> Tensor:
        return self.forward(gate_up)

    def bprop(self, gate_up, out, gradient):
        return (self.backward(gradient, gate_up),)


class _Attention(nn.Cell):
    def __init__(self, groups: int, repeats: int, head_dim: int):
        super().__init__()
        heads = groups * repeats
        shapes = lambda x, c, s, g: ([x[0], x[1], heads * head_dim], [x[0], heads, x[1]])  # noqa: E731
        self.forward = kernel("attention_forward", shapes, 2)
        self.backward = kernel("attention_backward", lambda d, x, c, s, g, o, e: x)

    def construct(self, fused, cos, sin, segments):
        return self.forward(fused, cos, sin, segments)

    def bprop(self, fused, cos, sin, segments, out, gradient):
        gradient = self.backward(gradient[0], fused, cos, sin, segments, out[0], out[1])
        return gradient, ops.zeros_like(cos), ops.zeros_like(sin), ops.zeros_like(segments)


class Attention(nn.Cell):
    """See composed.Attention. Keeps only the output and a number per head and token for the backward pass."""

    def __init__(self, groups: int, repeats: int, head_dim: int):
        super().__init__()
        self.kernel = _Attention(groups, repeats, head_dim)

    def construct(self, fused: Tensor, cos: Tensor, sin: Tensor, segments: Tensor) -> Tensor:
        return self.kernel(fused, cos, sin, segments)[0]


class _CrossEntropy(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.forward = kernel("entropy_forward", lambda x, y: ([x[0]], [x[0]]), 2)
        self.backward = kernel("entropy_backward", lambda d, x, y, e: x)

    def construct(self, logits, labels):
        return self.forward(logits, labels)

    def bprop(self, logits, labels, out, gradient):
        return self.backward(gradient[0], logits, labels, out[1]), ops.zeros_like(labels)


class CrossEntropy(nn.Cell):
    """See composed.CrossEntropy."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = _CrossEntropy()

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.kernel(logits, labels)[0]


class GradientNorm(nn.Cell):
    """See composed.GradientNorm; summed in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = kernel("gradient_norm", lambda *_: [1])

    def construct(self, gradients: tuple[Tensor, ...]) -> Tensor:
        return self.kernel(*gradients).reshape(())


class AdamW(nn.Cell):
    """See composed.AdamW; all parameters in one kernel."""

    def __init__(self, beta1: float, beta2: float, decays: list[float]):
        super().__init__()
        self.constants = Tensor(np.array([beta1, beta2, *decays], np.float32))
        self.kernel = kernel("adamw", lambda *_: [1], in_place=True)

    def construct(
        self,
        parameters: tuple[Parameter, ...],
        first: tuple[Parameter, ...],
        second: tuple[Parameter, ...],
        gradients: tuple[Tensor, ...],
        hyper: Tensor,
        clip: Tensor,
    ) -> Tensor:
        return self.kernel(*parameters, *first, *second, *gradients, self.constants, hyper, clip).reshape(())
