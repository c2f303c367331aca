"""A decoder's layer and its parts, named as MCore names them; `decoder` stacks them.

Activations are [tokens, hidden], tokens = batch * seq. Linear weights are [out, in] as in MCore.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from distillery.architecture import Architecture
from distillery.engine.collectives import Copy, Reduce


def zeros(*shape: int) -> Parameter:
    """An unnamed float32 parameter: the Cell that holds it gives it its MCore name."""
    return Parameter(Tensor(np.zeros(shape, np.float32)))


class Linear(nn.Cell):
    """x [tokens, in] -> x @ weight.T (+ bias)."""

    def __init__(self, inputs: int, outputs: int, bias: bool = False):
        super().__init__()
        self.weight = zeros(outputs, inputs)
        self.bias = zeros(outputs) if bias else None
        self.matmul = ops.MatMul(transpose_b=True)

    def construct(self, x: Tensor) -> Tensor:
        return self.with_weights(x, self.weight, self.bias)

    def with_weights(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        y = self.matmul(x, weight)
        return y if bias is None else y + bias


class Norm(nn.Cell):
    """RMSNorm with its weight."""

    def __init__(self, size: int, eps: float, kernels: ModuleType):
        super().__init__()
        self.weight = zeros(size)
        self.kernel = kernels.RmsNorm(eps)

    def construct(self, x: Tensor) -> Tensor:
        return self.kernel(x, self.weight)


class SelfAttention(nn.Cell):
    """linear_qkv -> norms of each query and key head, where the model has them -> core -> linear_proj."""

    def __init__(self, arch: Architecture, kernels: ModuleType, tensor_peers: tuple[int, ...]):
        super().__init__()
        self.linear_qkv = Linear(arch.hidden_size, arch.qkv_size, arch.add_qkv_bias)
        self.linear_proj = Linear(arch.num_attention_heads * arch.kv_channels, arch.hidden_size)
        self.core = kernels.Attention(arch.num_query_groups, arch.repeats, arch.kv_channels)
        self.heads = (arch.num_query_groups, arch.repeats + 2, arch.kv_channels)
        self.q_layernorm, self.k_layernorm = (
            Norm(arch.kv_channels, arch.norm_epsilon, kernels) if arch.qk_layernorm else None for _ in "qk"
        )
        # a rank's gradient of these weights is that of its own heads: the whole is the sum over ranks
        self.share = Copy(tensor_peers)

    def with_weights(self, x, cos, sin, segments, qkv, bias, proj, q_norm, k_norm) -> Tensor:
        b, s = segments.shape
        fused = self.linear_qkv.with_weights(x, qkv, bias)
        if q_norm is not None:
            heads = fused.reshape(b * s, *self.heads)
            q, k, v = heads[:, :, :-2], heads[:, :, -2:-1], heads[:, :, -1:]
            # once for both: a graph that calls one Cell with two Parameters takes one of them for the other
            norms = self.share(ops.stack((q_norm, k_norm)))
            fused = ops.concat((*self.normalized(q, k, norms[0], norms[1]), v), 2)
        mixed = self.core(fused.reshape(b, s, -1), cos, sin, segments)
        return self.linear_proj.with_weights(mixed.reshape(b * s, -1), proj)

    def normalized(self, q: Tensor, k: Tensor, q_norm: Tensor, k_norm: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys [..., head_dim], each head divided by its root mean square and weighted."""
        size = self.heads[-1]
        return (
            self.q_layernorm.kernel(q.reshape(-1, size), q_norm).reshape(q.shape),
            self.k_layernorm.kernel(k.reshape(-1, size), k_norm).reshape(k.shape),
        )


class Mlp(nn.Cell):
    """linear_fc1 (gate | up) -> SwiGLU -> linear_fc2."""

    def __init__(self, arch: Architecture, kernels: ModuleType):
        super().__init__()
        self.linear_fc1 = Linear(arch.hidden_size, 2 * arch.ffn_hidden_size)
        self.linear_fc2 = Linear(arch.ffn_hidden_size, arch.hidden_size)
        self.swiglu = kernels.SwiGlu()

    def construct(self, x: Tensor) -> Tensor:
        return self.with_weights(x, self.linear_fc1.weight, self.linear_fc2.weight)

    def with_weights(self, x: Tensor, fc1: Tensor, fc2: Tensor) -> Tensor:
        hidden = self.swiglu(self.linear_fc1.with_weights(x, fc1))
        return self.linear_fc2.with_weights(hidden, fc2)


class Layer(nn.Cell):
    """One pre-norm transformer block; `arch` holds this rank's heads and ffn columns."""

    def __init__(self, arch: Architecture, kernels: ModuleType, tensor_peers: tuple[int, ...]):
        super().__init__()
        self.enter, self.leave = Copy(tensor_peers), Reduce(tensor_peers)
        self.input_layernorm = Norm(arch.hidden_size, arch.norm_epsilon, kernels)
        self.self_attention = SelfAttention(arch, kernels, tensor_peers)
        self.pre_mlp_layernorm = Norm(arch.hidden_size, arch.norm_epsilon, kernels)
        self.mlp = Mlp(arch, kernels)

    def construct(self, x: Tensor, cos: Tensor, sin: Tensor, segments: Tensor) -> Tensor:
        return self.with_weights(x, cos, sin, segments, *self.weights())

    def weights(self) -> tuple[Parameter, ...]:
        """What `with_weights` takes in place of this layer's own, so that equal layers can share a graph."""
        qkv, mlp = self.self_attention.linear_qkv, self.mlp
        norms = self.input_layernorm.weight, self.pre_mlp_layernorm.weight
        found = (*norms, qkv.weight, self.self_attention.linear_proj.weight)
        found = (*found, mlp.linear_fc1.weight, mlp.linear_fc2.weight)
        found = found if qkv.bias is None else (*found, qkv.bias)
        attention = self.self_attention
        if attention.q_layernorm is None:
            return found
        return (*found, attention.q_layernorm.weight, attention.k_layernorm.weight)

    def with_weights(self, x, cos, sin, segments, norm1, norm2, qkv, proj, fc1, fc2, *more) -> Tensor:
        bias = more[0] if len(more) % 2 else None  # before the two norms of heads, or none
        q_norm, k_norm = more[-2:] if len(more) > 1 else (None, None)
        inner = self.enter(self.input_layernorm.kernel(x, norm1))
        mixed = self.self_attention.with_weights(inner, cos, sin, segments, qkv, bias, proj, q_norm, k_norm)
        x = x + self.leave(mixed)
        inner = self.enter(self.pre_mlp_layernorm.kernel(x, norm2))
        return x + self.leave(self.mlp.with_weights(inner, fc1, fc2))
