"""The decoder's kernels composed of plain MindSpore ops.

They run on any device, and are the oracle against which the native ones are checked.
A kernel set is a module with its NAME and the Cells RmsNorm, SwiGlu, Attention, CrossEntropy, GradientNorm and AdamW of
these signatures.
Activations are [tokens, features] with tokens = batch * sequence; everything is float32 on a CPU.
"""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from distillery.engine.rope import rotate
from distillery.marks import IGNORED

NAME = "composed"  # of a kernel set, in key.json
MASKED = -1e30  # added to a forbidden score: exp() of it is 0, and a row is never all forbidden


class RmsNorm(nn.Cell):
    """x / sqrt(mean(x^2) + eps) * weight over the last axis."""

    def __init__(self, eps: float):
        super().__init__()
        self.eps = eps

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return x * ops.rsqrt((x * x).mean(-1, True) + self.eps) * weight


class SwiGlu(nn.Cell):
    """silu(gate) * up of a fused [tokens, gate | up]."""

    def construct(self, gate_up: Tensor) -> Tensor:
        half = gate_up.shape[-1] // 2
        gate = gate_up[:, :half]
        return gate * ops.sigmoid(gate) * gate_up[:, half:]


def split_qkv(fused: Tensor, groups: int, repeats: int, head_dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """MCore's interleaved queries, keys and values, apart.

    [batch, seq, groups * (repeats + 2) * head_dim] -> q [batch, groups, repeats, seq, head_dim], k and v [batch,
    groups, 1, seq, head_dim]: groups stay an axis, so that keys and values broadcast to their query heads without a
    copy.
    """
    b, s, _ = fused.shape
    heads = fused.reshape(b, s, groups, repeats + 2, head_dim).transpose(0, 2, 3, 1, 4)
    return heads[:, :, :repeats], heads[:, :, repeats : repeats + 1], heads[:, :, repeats + 1 :]


def attend(q: Tensor, k: Tensor, v: Tensor, penalty: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(head_dim) + penalty) v.

    Args:
        q: [batch, groups, repeats, queries, head_dim], k and v: [batch, groups, 1, keys, head_dim].
        penalty: 0 where attention is allowed, MASKED elsewhere; broadcasts to [batch, groups, repeats,
            queries, keys].

    Returns:
        [batch, queries, groups * repeats * head_dim], heads in MCore order.
    """
    b, g, r, s, d = q.shape
    q = (q * (d**-0.5)).reshape(b, g, r * s, d)
    scores = ops.matmul(q, k.reshape(b, g, -1, d).swapaxes(-1, -2)).reshape(b, g, r, s, -1) + penalty
    weights = ops.softmax(scores, -1).reshape(b, g, r * s, -1)
    mixed = ops.matmul(weights, v.reshape(b, g, -1, d))
    return mixed.reshape(b, g, r, s, d).transpose(0, 3, 1, 2, 4).reshape(b, s, g * r * d)


class Attention(nn.Cell):
    """Causal attention inside segments, from the fused linear_qkv output to linear_proj's input."""

    def __init__(self, groups: int, repeats: int, head_dim: int):
        super().__init__()
        self.groups, self.repeats, self.head_dim = groups, repeats, head_dim

    def construct(self, fused: Tensor, cos: Tensor, sin: Tensor, segments: Tensor) -> Tensor:
        """Causal attention: fused [batch, seq, qkv_size] (bias added) -> [batch, seq, heads * head_dim].

        cos and sin are [batch, seq, head_dim/2], segments int32 [batch, seq]: a token sees earlier tokens of its own
        segment.
        """
        b, s, half = cos.shape
        q, k, v = split_qkv(fused, self.groups, self.repeats, self.head_dim)
        cos, sin = cos.reshape(b, 1, 1, s, half), sin.reshape(b, 1, 1, s, half)
        causal = Tensor(np.tril(np.ones((s, s), np.bool_)))
        allowed = ops.logical_and(causal, segments.reshape(b, s, 1) == segments.reshape(b, 1, s))
        penalty = (1.0 - allowed.astype("float32")) * MASKED
        return attend(rotate(q, cos, sin), rotate(k, cos, sin), v, penalty.reshape(b, 1, 1, s, s))


class CrossEntropy(nn.Cell):
    """-log softmax(logits)[label] of each token; 0 where the label is IGNORED."""

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        """logits [tokens, vocab], labels int32 [tokens] -> float32 [tokens]."""
        trained = labels != IGNORED
        index = ops.select(trained, labels, ops.zeros_like(labels)).expand_dims(-1)
        top = ops.stop_gradient(logits.max(-1, keepdims=True))
        shifted = logits - top
        log_sum = ops.log(ops.exp(shifted).sum(-1))
        return (log_sum - ops.gather_elements(shifted, 1, index).reshape(-1)) * trained.astype("float32")


class GradientNorm(nn.Cell):
    """L2 norm over all gradients together."""

    def construct(self, gradients: tuple[Tensor, ...]) -> Tensor:
        total = ops.zeros((), ms.float32)
        for gradient in gradients:
            total = total + (gradient * gradient).sum()
        return ops.sqrt(total)


class AdamW(nn.Cell):
    """In-place AdamW over all parameters; `decays` holds each one's weight decay."""

    def __init__(self, beta1: float, beta2: float, decays: list[float]):
        super().__init__()
        self.beta1, self.beta2, self.decays = beta1, beta2, tuple(decays)
        self.kernel = ops.AdamWeightDecay()

    def construct(
        self,
        parameters: tuple[Parameter, ...],
        first: tuple[Parameter, ...],
        second: tuple[Parameter, ...],
        gradients: tuple[Tensor, ...],
        hyper: Tensor,
        clip: Tensor,
    ) -> Tensor:
        """hyper: Optimizer.hyper's; clip: factor of the gradients. Returns clip, after all updates."""
        lr, eps, scale = hyper[0], hyper[1], hyper[2]
        for p, m, v, g, decay in zip(parameters, first, second, gradients, self.decays):  # noqa: B905 (jit has no strict)
            done = self.kernel(p, m, v, lr, self.beta1, self.beta2, eps, decay * scale, g * clip)
            clip = ops.depend(clip, done)
        return clip
