"""The decoder's kernels on Ascend: fused ops of the same granularity as the CPU's, attention in bfloat16.

Written from the signatures and docstrings of MindSpore 2.10; never run, for want of a device.
"""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from distillery.engine.composed import AdamW, CrossEntropy, GradientNorm, split_qkv
from distillery.engine.rope import rotate

NAME = "ascend"  # as it was called first
__all__ = ["AdamW", "Attention", "CrossEntropy", "GradientNorm", "RmsNorm", "SwiGlu"]


class RmsNorm(nn.Cell):
    """See composed.RmsNorm."""

    def __init__(self, eps: float):
        super().__init__()
        self.eps = eps

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return ops.rms_norm(x, weight, self.eps)[0]


class SwiGlu(nn.Cell):
    """See composed.SwiGlu."""

    def construct(self, gate_up: Tensor) -> Tensor:
        return ops.swiglu(gate_up, -1)


class Attention(nn.Cell):
    """See composed.Attention; flash attention takes no float32."""

    def __init__(self, groups: int, repeats: int, head_dim: int):
        super().__init__()
        self.groups, self.repeats, self.head_dim = groups, repeats, head_dim

    def construct(self, fused: Tensor, cos: Tensor, sin: Tensor, segments: Tensor) -> Tensor:
        b, s, half = cos.shape
        q, k, v = split_qkv(fused, self.groups, self.repeats, self.head_dim)
        cos, sin = cos.reshape(b, 1, 1, s, half), sin.reshape(b, 1, 1, s, half)
        later = Tensor(np.triu(np.ones((s, s), np.bool_), 1))
        hidden = ops.logical_or(later, segments.reshape(b, s, 1) != segments.reshape(b, 1, s))
        heads = self.groups * self.repeats
        mixed = ops.flash_attention_score(
            rotate(q, cos, sin).reshape(b, heads, s, -1).astype(ms.bfloat16),
            rotate(k, cos, sin).reshape(b, self.groups, s, -1).astype(ms.bfloat16),
            v.reshape(b, self.groups, s, -1).astype(ms.bfloat16),
            heads,
            attn_mask=hidden.reshape(b, 1, s, s),
            scalar_value=self.head_dim**-0.5,
            input_layout="BNSD",
        )
        return mixed.astype(fused.dtype).transpose(0, 2, 1, 3).reshape(b, s, -1)
