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

from collections.abc import Mapping
from types import ModuleType

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from distillery.architecture import Architecture
from distillery.engine import adapters, composed, rope
from distillery.engine.collectives import Copy, Reduce
from distillery.engine.decoder_layer import Layer, Linear, Norm, zeros
from distillery.engine.mesh import Mesh
from distillery.lora import Lora
from distillery.problems import Problem


class Stack(nn.Cell):
    """MCore's `decoder`: a stage's layers, and on the last stage the final norm."""

    def __init__(self, arch: Architecture, kernels: ModuleType, mesh: Mesh, lora: Lora | None):
        super().__init__()
        peers = mesh.peers("tensor")
        self.layers = nn.CellList([Layer(arch, kernels, peers, lora) for _ in range(arch.num_layers)])
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
        lora: adapters beside the weights (engine.adapters); on one rank of the model only.
    """

    def __init__(
        self,
        arch: Architecture,
        kernels: ModuleType = composed,
        padded_vocab: int | None = None,
        mesh: Mesh | None = None,
        num_layers: int | None = None,
        lora: Lora | None = None,
    ):
        super().__init__()
        mesh = mesh or Mesh()
        part = arch.part(mesh.tensor, arch.num_layers if num_layers is None else num_layers)
        self.arch = arch
        self.lora = lora
        self.rows = (padded_vocab or arch.vocab_size) // mesh.tensor
        self.first_row = mesh.tensor_rank * self.rows
        self.columns = min(self.rows, arch.vocab_size - self.first_row)  # of the logits; the rest is padding
        self.split = mesh.tensor > 1
        self.embedding = Embedding(self.rows, arch.hidden_size) if mesh.first else None
        self.decoder = Stack(part, kernels, mesh, lora)
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
    """{MCore name: float32 array} of all weights, in the order of the layers, without adapters."""
    return {name: parameter.asnumpy() for name, parameter in adapters.weights(model).items()}


def load_state(model: nn.Cell, state: Mapping[str, np.ndarray]) -> None:
    """Copy a rank file's "model" dict into the parameters; any float dtype becomes float32.

    Raises:
        Problem: names or shapes differ from what config.json implies.
    """
    parameters = adapters.weights(model)
    for name in sorted(parameters.keys() | state.keys()):
        array = state.get(name)
        found = "no such tensor" if array is None else tuple(array.shape)
        wanted = tuple(parameters[name].shape) if name in parameters else "no such tensor"
        if found != wanted:
            raise Problem(
                "the checkpoint does not fit the model's config.json",
                where=name,
                found=found,
                wanted=wanted,
                fix="convert again from the Hugging Face directory this config.json belongs to",
            )
        parameters[name].set_data(Tensor(np.ascontiguousarray(array, dtype=np.float32)))
