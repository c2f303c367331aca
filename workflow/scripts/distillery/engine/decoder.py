"""The decoder: Qwen2, Qwen3, Llama and Mistral in one class, its parameters named and laid out as in an MCore rank file.

    model = Decoder(model_config.read(hf_directory))
    load_state(model, state)            # {MCore name: array}, from a rank file
    logits = model(ids)                 # [batch, seq, vocab]

So {name: array} of `state_dict` IS the rank file's "model" dict; no mapping layer exists. A layer reads

    x += attention.output(core(attention.qkv(input_layernorm(x))))
    x += mlp(pre_mlp_layernorm(x))

with `core` = kernels.Attention on whole sequences. Generation composes the same parts with a core of its
own that reads a KV cache: `Decoder.embed`, `Decoder.angles`, per layer `layer.input_layernorm`,
`layer.self_attention.linear_qkv` (then composed.split_qkv, `layer.self_attention.normalized`, rope.rotate,
composed.attend), `layer.self_attention.linear_proj`, `layer.pre_mlp_layernorm`, `layer.mlp`, and `Decoder.logits`.

Activations are [tokens, hidden], tokens = batch * seq. Linear weights are [out, in] as in MCore. On a mesh of
ranks a Decoder is one rank's part: a slice of every matrix (tensor parallel) of some layers (pipeline).
"""

from __future__ import annotations

from types import ModuleType

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from distillery.architecture import Architecture
from distillery.engine import composed, rope
from distillery.engine.collectives import Copy, Reduce
from distillery.engine.mesh import Mesh
from distillery.problems import Problem


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
            fused = ops.concat((*self.normalized(q, k, self.share(q_norm), self.share(k_norm)), v), 2)
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


class Stack(nn.Cell):
    """MCore's `decoder`: a stage's layers, and on the last stage the final norm."""

    def __init__(self, arch: Architecture, kernels: ModuleType, mesh: Mesh):
        super().__init__()
        peers = mesh.peers("tensor")
        self.layers = nn.CellList([Layer(arch, kernels, peers) for _ in range(arch.num_layers)])
        self.final_layernorm = Norm(arch.hidden_size, arch.norm_epsilon, kernels) if mesh.last else None


class WordEmbeddings(nn.Cell):
    """The table that `embedding.word_embeddings.weight` names."""

    def __init__(self, vocab: int, hidden: int):
        super().__init__()
        self.weight = zeros(vocab, hidden)


class Embedding(nn.Cell):
    """The table of word embeddings under the name that MCore gives it."""

    def __init__(self, vocab: int, hidden: int):
        super().__init__()
        self.word_embeddings = WordEmbeddings(vocab, hidden)


class Decoder(nn.Cell):
    """A model, or one rank's part of it.

    Args:
        arch: shapes of the whole model, from config.json.
        kernels: module with RmsNorm, SwiGlu, Attention, CrossEntropy.
        padded_vocab: rows of the whole embedding in the checkpoint (>= arch.vocab_size); logits of the padding
            rows are cut off, so they neither compete in the softmax nor receive a gradient.
        mesh: this rank's place.
        num_layers: of this pipeline stage; all by default.
    """

    def __init__(
        self,
        arch: Architecture,
        kernels: ModuleType = composed,
        padded_vocab: int | None = None,
        mesh: Mesh | None = None,
        num_layers: int | None = None,
    ):
        super().__init__()
        mesh = mesh or Mesh()
        part = arch.part(mesh.tensor, arch.num_layers if num_layers is None else num_layers)
        self.arch = arch
        self.rows = (padded_vocab or arch.vocab_size) // mesh.tensor
        self.first_row = mesh.tensor_rank * self.rows
        self.columns = min(self.rows, arch.vocab_size - self.first_row)  # of the logits; the rest is padding
        self.split = mesh.tensor > 1
        self.embedding = Embedding(self.rows, arch.hidden_size) if mesh.first else None
        self.decoder = Stack(part, kernels, mesh)
        head_of_its_own = mesh.last and not (arch.tied and mesh.first)
        self.output_layer = Linear(arch.hidden_size, self.rows) if head_of_its_own else None
        self.enter, self.leave = Copy(mesh.peers("tensor")), Reduce(mesh.peers("tensor"))
        frequencies, self.rope_factor = rope.inverse_frequencies(arch)
        self.frequencies = Tensor(frequencies)
        self.head = ops.MatMul(transpose_b=True)

    def embed(self, ids: Tensor) -> Tensor:
        """ids int32 [batch, seq] -> [batch * seq, hidden]; on the first stage."""
        table, ids = self.embedding.word_embeddings.weight, ids.reshape(-1)
        if not self.split:
            return ops.gather(table, ids, 0)
        local = ids - self.first_row
        inside = ops.logical_and(local >= 0, local < self.rows)
        found = ops.gather(table, ops.select(inside, local, ops.zeros_like(local)), 0)
        return self.leave(found * inside.astype("float32").expand_dims(-1))

    def angles(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """positions int32 [batch, seq] -> cos, sin [batch, seq, head_dim/2]."""
        return rope.angles(positions, self.frequencies, self.rope_factor)

    def logits(self, x: Tensor) -> Tensor:
        """Output of the last layer [tokens, hidden] -> [tokens, vocab_size], or this tensor rank's columns."""
        x = self.enter(self.decoder.final_layernorm(x))
        if self.output_layer is None:
            scores = self.head(x, self.embedding.word_embeddings.weight)
        else:
            scores = self.output_layer(x)
        return scores[:, : self.columns] if self.columns != self.rows else scores

    def layers(self, x: Tensor, positions: Tensor, segments: Tensor) -> Tensor:
        """This stage's layers: x [tokens, hidden], positions and segments int32 [batch, seq]."""
        cos, sin = self.angles(positions)
        for layer in self.decoder.layers:
            x = layer(x, cos, sin, segments)
        return x

    def hidden(self, ids: Tensor, positions: Tensor, segments: Tensor) -> Tensor:
        """Embedding and layers of whole sequences: ids, positions, segments int32 [batch, seq] -> [tokens, hidden]."""
        return self.layers(self.embed(ids), positions, segments)

    def construct(
        self, ids: Tensor, positions: Tensor | None = None, segments: Tensor | None = None
    ) -> Tensor:
        """Logits [batch, seq, vocab_size] of whole sequences.

        Args:
            ids: int32 [batch, seq].
            positions: int32 [batch, seq], default 0..seq-1 in every row.
            segments: int32 [batch, seq]; a token attends to earlier tokens of its own segment. Default:
                one segment a row, plain causal attention (right padding then needs no mask).
        """
        b, s = ids.shape
        if positions is None:
            positions = ops.broadcast_to(Tensor(np.arange(s, dtype=np.int32)), (b, s))
        if segments is None:
            segments = ops.zeros((b, s), ms.int32)
        return self.logits(self.hidden(ids, positions, segments)).reshape(b, s, -1)


def state_dict(model: nn.Cell) -> dict[str, np.ndarray]:
    """{MCore name: float32 array} of all parameters, in the order of the layers."""
    return {name: parameter.asnumpy() for name, parameter in model.parameters_and_names()}


def load_state(model: nn.Cell, state: dict[str, np.ndarray]) -> None:
    """Copy a rank file's "model" dict into the parameters; any float dtype becomes float32.

    Raises:
        Problem: names or shapes differ from what config.json implies.
    """
    parameters = dict(model.parameters_and_names())
    wanted = {name: tuple(parameter.shape) for name, parameter in parameters.items()}
    found = {name: tuple(array.shape) for name, array in state.items()}
    if wanted != found:
        name = min(n for n in wanted.keys() | found.keys() if wanted.get(n) != found.get(n))
        raise Problem(
            "the checkpoint does not fit the model's config.json",
            where=name,
            found=found.get(name, "no such tensor"),
            wanted=wanted.get(name, "no such tensor"),
            fix="convert again from the Hugging Face directory this config.json belongs to",
        )
    for name, array in state.items():
        parameters[name].set_data(Tensor(np.ascontiguousarray(array, dtype=np.float32)))
