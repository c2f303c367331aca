"""A decoder's layer and its parts, named as MCore names them; `decoder` stacks them.

Activations are [tokens, hidden], tokens = batch * seq. Linear weights are [out, in] as in MCore.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from distillery.architecture import Architecture
from distillery.engine.collectives import Copy, Reduce
from distillery.lora import TARGETS, Lora


def zeros(*shape: int) -> Parameter:
    """An unnamed float32 parameter: the Cell that holds it gives it its MCore name."""
    return Parameter(Tensor(np.zeros(shape, np.float32)))


class Linear(nn.Cell):
    """x [tokens, in] -> x @ weight.T (+ bias) (+ scale * x @ lora_A.T @ lora_B.T)."""

    def __init__(self, inputs: int, outputs: int, bias: bool = False, lora: Lora | None = None):
        super().__init__()
        self.weight = zeros(outputs, inputs)
        self.bias = zeros(outputs) if bias else None
        self.matmul = ops.MatMul(transpose_b=True)
        self.lora_A = zeros(lora.rank, inputs) if lora else None
        self.lora_B = zeros(outputs, lora.rank) if lora else None
        self.scale = lora.scale if lora else 0.0

    def construct(self, x: Tensor) -> Tensor:
        return self.with_weights(x, self.weight, self.bias)

    def with_weights(
        self, x: Tensor, weight: Tensor, bias: Tensor | None = None, adapter: tuple[Tensor, ...] = ()
    ) -> Tensor:
        y = self.matmul(x, weight)
        y = y if bias is None else y + bias
        if not adapter:
            return y
        return y + self.matmul(self.matmul(x, adapter[0]) * self.scale, adapter[1])


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

    def __init__(
        self,
        arch: Architecture,
        kernels: ModuleType,
        tensor_peers: tuple[int, ...],
        lora: Mapping[str, Lora],
    ):
        super().__init__()
        heads = arch.num_attention_heads * arch.kv_channels
        self.linear_qkv = Linear(arch.hidden_size, arch.qkv_size, arch.add_qkv_bias, lora.get("linear_qkv"))
        self.linear_proj = Linear(heads, arch.hidden_size, lora=lora.get("linear_proj"))
        self.core = kernels.Attention(arch.num_query_groups, arch.repeats, arch.kv_channels)
        self.heads = (arch.num_query_groups, arch.repeats + 2, arch.kv_channels)
        self.q_layernorm, self.k_layernorm = (
            Norm(arch.kv_channels, arch.norm_epsilon, kernels) if arch.qk_layernorm else None for _ in "qk"
        )
        # a rank's gradient of these weights is that of its own heads: the whole is the sum over ranks
        self.share = Copy(tensor_peers)

    def with_weights(self, x, cos, sin, segments, qkv, bias, proj, q_norm, k_norm, adapters) -> Tensor:
        b, s = segments.shape
        fused = self.linear_qkv.with_weights(x, qkv, bias, adapters[0])
        if q_norm is not None:
            heads = fused.reshape(b * s, *self.heads)
            q, k, v = heads[:, :, :-2], heads[:, :, -2:-1], heads[:, :, -1:]
            # once for both: a graph that calls one Cell with two Parameters takes one of them for the other
            norms = self.share(ops.stack((q_norm, k_norm)))
            fused = ops.concat((*self.normalized(q, k, norms[0], norms[1]), v), 2)
        mixed = self.core(fused.reshape(b, s, -1), cos, sin, segments)
        return self.linear_proj.with_weights(mixed.reshape(b * s, -1), proj, None, adapters[1])

    def normalized(self, q: Tensor, k: Tensor, q_norm: Tensor, k_norm: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys [..., head_dim], each head divided by its root mean square and weighted."""
        size = self.heads[-1]
        return (
            self.q_layernorm.kernel(q.reshape(-1, size), q_norm).reshape(q.shape),
            self.k_layernorm.kernel(k.reshape(-1, size), k_norm).reshape(k.shape),
        )


class Mlp(nn.Cell):
    """linear_fc1 (gate | up) -> SwiGLU -> linear_fc2."""

    def __init__(self, arch: Architecture, kernels: ModuleType, lora: Mapping[str, Lora]):
        super().__init__()
        hidden, ffn = arch.hidden_size, arch.ffn_hidden_size
        self.linear_fc1 = Linear(hidden, 2 * ffn, lora=lora.get("linear_fc1"))
        self.linear_fc2 = Linear(ffn, hidden, lora=lora.get("linear_fc2"))
        self.swiglu = kernels.SwiGlu()

    def construct(self, x: Tensor) -> Tensor:
        return self.with_weights(x, self.linear_fc1.weight, self.linear_fc2.weight)

    def with_weights(self, x: Tensor, fc1: Tensor, fc2: Tensor, adapters=((), ())) -> Tensor:
        hidden = self.swiglu(self.linear_fc1.with_weights(x, fc1, None, adapters[0]))
        return self.linear_fc2.with_weights(hidden, fc2, None, adapters[1])


class Layer(nn.Cell):
    """One pre-norm transformer block; `arch` holds this rank's heads and ffn columns."""

    def __init__(
        self,
        arch: Architecture,
        kernels: ModuleType,
        tensor_peers: tuple[int, ...],
        lora: Lora | None = None,
    ):
        super().__init__()
        adapted = dict.fromkeys(lora.targets, lora) if lora else {}
        self.enter, self.leave = Copy(tensor_peers), Reduce(tensor_peers)
        self.input_layernorm = Norm(arch.hidden_size, arch.norm_epsilon, kernels)
        self.self_attention = SelfAttention(arch, kernels, tensor_peers, adapted)
        self.pre_mlp_layernorm = Norm(arch.hidden_size, arch.norm_epsilon, kernels)
        self.mlp = Mlp(arch, kernels, adapted)
        # of `more` in with_weights: how many are no adapters, and where behind them each matrix has its own
        self.plain = bool(arch.add_qkv_bias) + 2 * bool(arch.qk_layernorm)
        self.places = tuple(
            2 * [one for one in TARGETS if one in adapted].index(target) if target in adapted else -1
            for target in TARGETS
        )

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
        if attention.q_layernorm is not None:
            found = (*found, attention.q_layernorm.weight, attention.k_layernorm.weight)
        for linear in (qkv, attention.linear_proj, mlp.linear_fc1, mlp.linear_fc2):
            if linear.lora_A is not None:
                found = (*found, linear.lora_A, linear.lora_B)
        return found

    def with_weights(self, x, cos, sin, segments, norm1, norm2, qkv, proj, fc1, fc2, *more) -> Tensor:
        adapters = ()
        for place in self.places:
            at = self.plain + place
            adapters = (*adapters, more[at : at + 2] if place >= 0 else ())
        more = more[: self.plain]
        bias = more[0] if len(more) % 2 else None  # before the two norms of heads, or none
        q_norm, k_norm = more[-2:] if len(more) > 1 else (None, None)
        inner = self.enter(self.input_layernorm.kernel(x, norm1))
        mixed = self.self_attention.with_weights(
            inner, cos, sin, segments, qkv, bias, proj, q_norm, k_norm, adapters[:2]
        )
        x = x + self.leave(mixed)
        inner = self.enter(self.pre_mlp_layernorm.kernel(x, norm2))
        return x + self.leave(self.mlp.with_weights(inner, fc1, fc2, adapters[2:]))
