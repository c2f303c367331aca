"""`cache.CachedDecoder` for a CPU: whole decoder layers in C++ (decoding.cpp), weights read once a step.

One graph computes any mix of prompts and single tokens: its shapes are static, and its kernels stop at the
number of live tokens. The weights are repacked into the panels that the kernels read; float32 weights that
are bfloat16 numbers are kept as such, which halves what a step has to read and changes no result.
"""

from __future__ import annotations

from collections.abc import Sequence

import mindspore as ms
import ml_dtypes
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from distillery.engine import compiling, rope
from distillery.engine.architecture import Architecture
from distillery.engine.arrival import Arrival

WIDTH = 256  # tokens of one call: a prompt of that many keeps the weights in use for long
LANES, SPAN, KEYS, PAD = 32, 64, 16, 16  # as in decoding.cpp; PAD is its widest vector


class NativeDecoder(nn.Cell):
    """See `cache.CachedDecoder`; made from the state dict itself.

    Args:
        state: {MCore name: array} of the whole model; emptied meanwhile, so that memory holds it once.
    """

    def __init__(self, arch: Architecture, state: dict[str, np.ndarray], slots: int, length: int):
        super().__init__()
        self.arch, self.slots = arch, slots
        self.width = max(WIDTH, slots)
        self.capacity = -(-length // SPAN) * SPAN
        self.lengths = np.zeros(slots, np.int32)
        self.eps = Tensor(np.array([arch.norm_eps], np.float32))
        self.cos, self.sin = _angles(arch, self.capacity)
        packing = np.uint16 if all(map(_is_bfloat16, state.values())) else np.float32
        self.weights = [_layer(arch, state, i, packing) for i in range(arch.num_layers)]
        self.final_norm = _parameter(
            "norm", np.asarray(state.pop("decoder.final_layernorm.weight"), np.float32)
        )
        table = state.pop("embedding.word_embeddings.weight")[: arch.vocab_size]
        self.table = _parameter("table", pack(table, packing))
        self.head = self.table
        if not arch.tied:
            self.head = _parameter("head", pack(state.pop("output_layer.weight")[: arch.vocab_size], packing))
        groups, dim = arch.num_groups, arch.head_dim
        blocks, padded = self.capacity // KEYS, -(-dim // PAD) * PAD
        layers = range(arch.num_layers)
        self.keys = [_zeros(f"keys.{i}", slots, groups, blocks, dim, KEYS) for i in layers]
        self.values = [_zeros(f"values.{i}", slots, groups, self.capacity, padded) for i in layers]
        self._embed = _kernel("decode_embed", lambda ids, *_: [*ids, arch.hidden_size])
        self._layer = _kernel("decode_layer", lambda x, *_: x)
        self._layer.add_prim_attr("side_effect_mem", True)  # it writes the cache
        self._head = _kernel("decode_head", lambda *shapes: [slots, arch.vocab_size])
        self._best = _kernel("decode_best", lambda *_: [slots], ms.int32)
        self.arrival = Arrival()
        self._graphs = {False: ms.jit(self.scores), True: ms.jit(self.most_likely)}
        self._copy = ms.jit(self.copy)

    def cut(self, slot: int, length: int) -> None:
        """See CachedDecoder."""
        self.lengths[slot] = length

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
            inputs = [_padded(a[part], self.width) for a in (ids, slots, positions)]
            rows = self._run(greedy, *inputs, _padded(np.array(wanted, np.int32), self.slots), live)
            result.update({slot: rows[i] for i, (slot, _) in enumerate(here)})
        for slot, n in zip(tokens, counts, strict=True):
            self.lengths[slot] += n
        return result

    def reorder(self, sources: dict[int, int]) -> None:
        """See CachedDecoder."""
        table = np.arange(self.slots, dtype=np.int32)
        table[list(sources)] = list(sources.values())
        self.lengths = self.lengths[table]
        self._copy(Tensor(table))

    def _run(self, greedy: bool, *inputs: np.ndarray) -> np.ndarray:
        return self.arrival.wait(self._graphs[greedy](*map(Tensor, inputs)))

    def most_likely(
        self, ids: Tensor, slots: Tensor, positions: Tensor, wanted: Tensor, live: Tensor
    ) -> Tensor:
        """As `scores`, but only the ids of the highest scores, int32 [slots]."""
        return self.arrival(self._best(self.forward(ids, slots, positions, wanted, live), live))

    def scores(self, ids: Tensor, slots: Tensor, positions: Tensor, wanted: Tensor, live: Tensor) -> Tensor:
        """Logits [slots, vocab], of which the first live[1] rows count.

        Args:
            ids, slots, positions: int32 [width], of the tokens, of which the first live[0] count.
            wanted: int32 [slots], tokens whose scores are asked for.
            live: int32 [2].
        """
        return self.arrival(self.forward(ids, slots, positions, wanted, live))

    def forward(self, ids: Tensor, slots: Tensor, positions: Tensor, wanted: Tensor, live: Tensor) -> Tensor:
        x = self._embed(ids, self.table, live)
        for i in range(self.arch.num_layers):
            memory = (self.keys[i], self.values[i], self.cos, self.sin)
            x = self._layer(x, self.eps, *self.weights[i], *memory, slots, positions, live)
        return self._head(x, self.eps, self.final_norm, self.head, wanted, live)

    def copy(self, table: Tensor) -> Tensor:
        """Slot i takes over the rows of slot table[i]."""
        for cache in self.keys + self.values:
            ops.assign(cache, ops.gather(cache, table, 0))
        return table


def pack(weight: np.ndarray, dtype: type) -> np.ndarray:
    """[outputs, inputs] -> panels [outputs / LANES, inputs, LANES], zeros in the last one's free lanes.

    Args:
        dtype: float32, or uint16 for the upper halves of float32 (exact for bfloat16 numbers only).
    """
    outputs, inputs = weight.shape
    rows = np.zeros((-(-outputs // LANES) * LANES, inputs), np.float32)
    rows[:outputs] = weight
    panels = np.ascontiguousarray(rows.reshape(-1, LANES, inputs).swapaxes(1, 2))
    return panels if dtype == np.float32 else (panels.view(np.uint32) >> 16).astype(np.uint16)


def interleave(fc1: np.ndarray) -> np.ndarray:
    """Rows gate | up -> LANES/2 gates, their LANES/2 ups, and so on: a panel holds both halves of its features."""
    half = LANES // 2
    ffn = fc1.shape[0] // 2
    parts = np.zeros((2, -(-ffn // half) * half, fc1.shape[1]), np.float32)
    parts[:, :ffn] = np.asarray(fc1).reshape(2, ffn, -1)
    return parts.reshape(2, -1, half, fc1.shape[1]).swapaxes(0, 1).reshape(-1, fc1.shape[1])


def _layer(arch: Architecture, state: dict[str, np.ndarray], number: int, packing: type) -> list[Parameter]:
    def part(name: str) -> np.ndarray:
        return np.asarray(state.pop(f"decoder.layers.{number}.{name}"), np.float32)

    bias = part("self_attention.linear_qkv.bias") if arch.qkv_bias else np.zeros(arch.qkv_size, np.float32)
    arrays = [
        part("input_layernorm.weight"),
        pack(part("self_attention.linear_qkv.weight"), packing),
        bias,
        pack(part("self_attention.linear_proj.weight"), packing),
        part("pre_mlp_layernorm.weight"),
        pack(interleave(part("mlp.linear_fc1.weight")), packing),
        pack(part("mlp.linear_fc2.weight"), packing),
    ]
    return [_parameter(f"layers.{number}.{i}", array) for i, array in enumerate(arrays)]


def _is_bfloat16(array: np.ndarray) -> bool:
    """Whether no value would change as bfloat16; one that would is usually among the first."""
    if array.dtype == ml_dtypes.bfloat16:
        return True
    flat = np.asarray(array, np.float32).reshape(-1)
    parts = (flat[:1000], flat)
    return all(not (np.ascontiguousarray(part).view(np.uint32) & 0xFFFF).any() for part in parts)


def _angles(arch: Architecture, capacity: int) -> tuple[Tensor, Tensor]:
    """cos and sin [capacity, head_dim / 2]."""
    frequencies, factor = rope.inverse_frequencies(arch)
    return rope.angles(Tensor(np.arange(capacity, dtype=np.int32)), Tensor(frequencies), factor)


def _kernel(name: str, shape, dtype=ms.float32) -> ops.Custom:
    return ops.Custom(f"{compiling.library(compiling.DECODING)}:{name}", shape, lambda *_: dtype, "aot")


def _padded(values: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([values, np.zeros(size - len(values), np.int32)])


def _zeros(name: str, *shape: int) -> Parameter:
    return _parameter(name, np.zeros(shape, np.float32))


def _parameter(name: str, array: np.ndarray) -> Parameter:
    return Parameter(Tensor.from_numpy(array), name=name, requires_grad=False)
