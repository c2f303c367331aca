"""`cache.CachedDecoder` for a CPU: all decoder layers in one call of C++ (decoding.cpp), weights read once a step.

One graph computes any mix of prompts and single tokens: its shapes are static, and its kernels stop at the
number of live tokens. The weights are repacked into the panels that the kernels read, by `panels`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, ops

from distillery.architecture import Architecture
from distillery.checkpoint_names import TABLES
from distillery.engine import compiling, panels, rope
from distillery.engine.mesh import Mesh
from distillery.engine.slots import Slots

WIDTH = 256  # tokens of one call: a prompt of that many keeps the weights in use for long
SPAN, KEYS, PAD = 64, 16, 16  # as in decoding.cpp; PAD is its widest vector
ATTENTION = 7  # arrays of a layer's attention, as there


class NativeDecoder(Slots):
    """See `cache.CachedDecoder`; made from the state dict itself.

    Args:
        arch: of the whole model.
        state: {MCore name: array} of this rank; each is looked up once, so that memory holds one of them beside what
            is packed already, if `state` reads them then.
        cache_dtype: of keys and values, fp32 or bf16. bf16 rounds them, so scores are others: 3 digits of them stay.
        weights: stored, or int8, which rounds all matrices.
    """

    def __init__(
        self,
        arch: Architecture,
        state: Mapping[str, np.ndarray],
        slots: int,
        length: int,
        mesh: Mesh,
        cache_dtype: str = "fp32",
        weights: str = panels.STORED,
    ):
        layers = sum(name.endswith("linear_proj.weight") for name in state)
        part = arch.part(mesh.tensor, layers)
        rows = max(len(state[name]) if name in state else 0 for name in TABLES)
        first_id = mesh.tensor_rank * rows
        columns = min(rows, arch.vocab_size - first_id)  # the rest is padding
        super().__init__(arch, slots, mesh, first_id, columns, reusable=False)
        self.first_id, self.split = first_id, mesh.tensor > 1
        self.width = max(WIDTH, slots)
        # ranks send one another whole inputs: those of a step without prompts are small
        self.narrow = self.width if self.links is None else slots
        self.capacity = -(-length // SPAN) * SPAN
        self.eps = Tensor(np.array([arch.norm_epsilon], np.float32))
        self.cos, self.sin = _angles(arch, self.capacity)
        found = [name for name in TABLES if name in state]
        tables = [_parameter(name, panels.pack(state[name][:columns], weights)) for name in found]
        if mesh.first:
            self.table = tables[0]
        if mesh.last:
            self.head = tables[-1]  # tied to the table where a rank has both
            self.final_norm = _parameter("norm", _float32(state["decoder.final_layernorm.weight"]))
        groups, dim = part.num_query_groups, arch.kv_channels
        blocks, padded = self.capacity // KEYS, -(-dim // PAD) * PAD
        shapes = {
            "keys": (slots, groups, blocks, dim, KEYS),
            "values": (slots, groups, self.capacity, padded),
        }
        kept = np.uint16 if cache_dtype == "bf16" else np.float32
        self.keys, self.values = (
            [_parameter(f"{name}.{i}", np.zeros(shape, kept)) for i in range(layers)]
            for name, shape in shapes.items()
        )
        self.layers = [_layer(part, state, i, weights, self.keys[i], self.values[i]) for i in range(layers)]
        self.arrays = tuple(one for layer in self.layers for one in layer)
        embed = "decode_embed_part" if self.split else "decode_embed"
        self._embed = _kernel(embed, lambda ids, *_: [*ids, arch.hidden_size])
        self._layers, self._attention = (
            _kernel(name, lambda x, *_: x, writes=True) for name in ("decode_layers", "decode_attention")
        )
        self._mlp = _kernel("decode_mlp", lambda x, *_: x)
        self._head = _kernel("decode_head", lambda *shapes: [*shapes[4], columns])
        self._best = _kernel("decode_best", lambda logits, _: logits[:1], ms.int32)

    def extend(self, tokens: dict[int, Sequence[int]], greedy: bool) -> dict[int, np.ndarray]:
        """See CachedDecoder."""
        ids = np.concatenate([np.asarray(new, np.int32) for new in tokens.values()])
        counts = [len(new) for new in tokens.values()]
        slots = np.repeat(np.array(list(tokens), np.int32), counts)
        starts = self.lengths[list(tokens)]
        positions = np.concatenate(
            [start + np.arange(n, dtype=np.int32) for start, n in zip(starts, counts, strict=True)]
        )
        ends = np.cumsum(counts) - 1
        result = {}
        for first in range(0, len(ids), self.width):
            here = [
                (slot, end - first)
                for slot, end in zip(tokens, ends, strict=True)
                if 0 <= end - first < self.width
            ]
            part = slice(first, first + self.width)
            wanted = [end for _, end in here]
            live = np.array([len(ids[part]), len(wanted)], np.int32)
            width = self.narrow if live[0] <= self.narrow else self.width
            inputs = [_padded(a[part], width) for a in (ids, slots, positions)]
            rows = self.ask(greedy, *inputs, _padded(np.array(wanted, np.int32), self.slots), live)
            result.update({slot: rows[i] for i, (slot, _) in enumerate(here)})
        for slot, n in zip(tokens, counts, strict=True):
            self.lengths[slot] += n
        return result

    def best(self, logits: Tensor, *inputs: Tensor) -> Tensor:
        return self._best(logits, inputs[-1])

    def forward(self, ids: Tensor, slots: Tensor, positions: Tensor, wanted: Tensor, live: Tensor) -> Tensor:
        """Logits [slots, vocab], of which the first live[1] rows count, or an earlier pipeline stage's output.

        Args:
            ids, slots, positions: int32 [width], of the tokens, of which the first live[0] count.
            wanted: int32 [slots], tokens whose scores are asked for.
            live: int32 [2].
        """
        x = self.embed(ids, live) if self.has_table else self.links.receive(ids.shape[0], ids)
        shared = (self.eps, self.cos, self.sin, slots, positions, live)
        if self.split:
            for layer in self.layers:
                x = x + self.links.over_tensor(self._attention(x, *shared, *layer[:ATTENTION]))
                x = x + self.links.over_tensor(self._mlp(x, self.eps, *layer[ATTENTION:], live))
        else:
            x = self._layers(x, *shared, *self.arrays)
        return self._head(x, self.eps, self.final_norm, self.head, wanted, live) if self.has_head else x

    def embed(self, ids: Tensor, live: Tensor) -> Tensor:
        if not self.split:
            return self._embed(ids, self.table, live)
        return self.links.over_tensor(self._embed(ids - self.first_id, self.table, live))

    def copy(self, table: Tensor) -> Tensor:
        """Slot i takes over the rows of slot table[i]."""
        for cache in self.keys + self.values:
            ops.assign(cache, ops.gather(cache, table, 0))
        return table


def _layer(
    arch: Architecture,
    state: Mapping[str, np.ndarray],
    number: int,
    kind: str,
    keys: Parameter,
    values: Parameter,
) -> list[Parameter]:
    """The arrays of a layer, in the order of decoding.cpp: those of its attention, with their cache, and of its MLP."""

    def matrix(name: str) -> np.ndarray:
        return state[f"decoder.layers.{number}.{name}.weight"]

    def part(name: str) -> np.ndarray:
        return _float32(state[f"decoder.layers.{number}.{name}"])

    bias = (
        part("self_attention.linear_qkv.bias") if arch.add_qkv_bias else np.zeros(arch.qkv_size, np.float32)
    )
    heads = [part(f"self_attention.{p}_layernorm.weight") for p in ("qk" if arch.qk_layernorm else "")]
    attention = [
        part("input_layernorm.weight"),
        panels.pack(matrix("self_attention.linear_qkv"), kind),
        bias,
        panels.pack(matrix("self_attention.linear_proj"), kind),
        np.concatenate(heads) if heads else np.zeros(1, np.float32),  # a kernel takes no absent array
    ]
    mlp = [
        part("pre_mlp_layernorm.weight"),
        panels.pack_gated(matrix("mlp.linear_fc1"), kind),
        panels.pack(matrix("mlp.linear_fc2"), kind),
    ]
    made = [_parameter(f"layers.{number}.{i}", array) for i, array in enumerate(attention + mlp)]
    return [*made[: len(attention)], keys, values, *made[len(attention) :]]


def _angles(arch: Architecture, capacity: int) -> tuple[Tensor, Tensor]:
    """cos and sin [capacity, head_dim / 2]."""
    frequencies, factor = rope.inverse_frequencies(arch)
    return rope.angles(Tensor(np.arange(capacity, dtype=np.int32)), Tensor(frequencies), factor)


def _kernel(name: str, shape, dtype=ms.float32, writes: bool = False) -> ops.Custom:
    """A function of decoding.cpp; one that `writes` changes the cache."""
    made = ops.Custom(f"{compiling.library(compiling.DECODING)}:{name}", shape, lambda *_: dtype, "aot")
    if writes:
        made.add_prim_attr("side_effect_mem", True)
    return made


def _float32(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, np.float32)


def _padded(values: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([values, np.zeros(size - len(values), np.int32)])


def _parameter(name: str, array: np.ndarray) -> Parameter:
    return Parameter(Tensor.from_numpy(array), name=name, requires_grad=False)
