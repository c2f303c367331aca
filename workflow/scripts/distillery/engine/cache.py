"""Sequences in a static key/value cache: feed tokens to slots, get the scores of what comes next.

    cached = CachedDecoder(model, slots=4, length=256, mesh=Mesh())
    rows = cached.extend({0: prompt, 2: [token]}, greedy=False)       # {slot: logits [vocab]}

A slot holds one sequence. The key of position p lies at row p of its slot, whatever else is in the batch:
there is no padding inside a slot, so a sequence computes the same in any company. Rows at or beyond a
sequence's length hold leftovers, which are masked until they are overwritten.

Two shapes are compiled: prefill, CHUNK tokens of one slot (a longer prompt takes several calls), and
decode, one token of every slot.
"""

from __future__ import annotations

from collections.abc import Sequence

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, ops

from distillery.engine import composed
from distillery.engine.decoder import Decoder
from distillery.engine.mesh import Mesh
from distillery.engine.rope import rotate
from distillery.engine.slots import Slots

CHUNK = 64  # wide enough to keep a CPU's matmul busy, small enough to waste little on padding


class CachedDecoder(Slots):
    """A decoder with the keys and values of `slots` sequences of at most `length` tokens.

    Memory of the cache: 2 * layers * slots * (length + CHUNK) * groups * head_dim * 4 bytes, of this rank's layers
    and groups.

    Args:
        mesh: the place of `model` among the ranks that share it; no data parallelism.
    """

    def __init__(self, model: Decoder, slots: int, length: int, mesh: Mesh):
        super().__init__(model.arch, slots, mesh, model.first_row, model.columns, reusable=True)
        layers = len(model.decoder.layers)
        part = model.arch.part(mesh.tensor, layers)
        self.model = model
        self.groups, self.repeats, self.head_dim = part.num_query_groups, part.repeats, part.kv_channels
        # a prefill writes whole chunks, from any position below `length` on
        self.capacity = -(-(length + CHUNK - 1) // CHUNK) * CHUNK
        # rows ordered (slot, group, position): attention reads [slot, group, position, head_dim] without a copy
        shape = (slots * self.groups * self.capacity, self.head_dim)
        self.keys = ms.ParameterTuple(_empty(f"keys.{i}", shape) for i in range(layers))
        self.values = ms.ParameterTuple(_empty(f"values.{i}", shape) for i in range(layers))
        self.write = ops.ScatterUpdate()
        self.group_rows = Tensor(np.arange(self.groups, dtype=np.int32).reshape(1, -1, 1) * self.capacity)
        self.reach = Tensor(np.arange(self.capacity, dtype=np.int32).reshape(1, 1, -1))

    def extend(self, tokens: dict[int, Sequence[int]], greedy: bool) -> dict[int, np.ndarray]:
        """Append tokens to slots and return what each slot's last one predicts.

        Args:
            tokens: {slot: at least one id}; lengths must stay within `length`.
            greedy: True for the most likely id (the lower of two equals), False for float32 logits [vocab].
        """
        result = {}
        for slot, new in tokens.items():
            if len(new) > 1:
                result[slot] = self._prefill(slot, np.asarray(new, np.int32), greedy)
        single = {slot: new[0] for slot, new in tokens.items() if len(new) == 1}
        if single:
            ids = np.zeros((self.slots, 1), np.int32)
            for slot, token in single.items():
                ids[slot] = token
            # slots without a new token compute too, and write to a row that no one reads yet
            starts = np.minimum(self.lengths, self.capacity - 1)
            rows = self.ask(greedy, ids, np.arange(self.slots, dtype=np.int32), starts, np.zeros_like(starts))
            for slot in single:
                self.lengths[slot] += 1
                result[slot] = rows[slot]
        return result

    def _prefill(self, slot: int, ids: np.ndarray, greedy: bool) -> np.ndarray:
        for first in range(0, len(ids), CHUNK):
            chunk = ids[first : first + CHUNK]
            padded = np.zeros((1, CHUNK), np.int32)
            padded[0, : len(chunk)] = chunk
            where = (np.array([n], np.int32) for n in (slot, self.lengths[slot], len(chunk) - 1))
            rows = self.ask(greedy, padded, *where)
            self.lengths[slot] += len(chunk)
        return rows[0]

    def best(self, logits: Tensor, *inputs: Tensor) -> Tensor:
        # NaN and infinity times 0 are NaN, which is no 0
        numbers = (logits * 0).sum(-1) == 0
        return ops.select(numbers, ops.argmax(logits, -1).astype("int32"), -1)

    def forward(self, ids: Tensor, slots: Tensor, starts: Tensor, last: Tensor) -> Tensor:
        """Logits [rows, vocab] after each row's last token, or an earlier pipeline stage's output.

        Args:
            ids: int32 [rows, width], padded on the right with any id.
            slots: int32 [rows]; if width is 1, every slot in order.
            starts: int32 [rows], position of the row's first token.
            last: int32 [rows], column of the row's last real token.
        """
        rows, width = ids.shape
        positions = starts.reshape(rows, 1) + Tensor(np.arange(width, dtype=np.int32))
        targets = (slots * (self.groups * self.capacity)).reshape(rows, 1, 1) + self.group_rows
        targets = targets + positions.reshape(rows, 1, width)
        hidden = self.reach > positions.reshape(rows, width, 1)
        penalty = (hidden.astype("float32") * composed.MASKED).reshape(rows, 1, 1, width, self.capacity)
        cos, sin = self.model.angles(positions.reshape(rows, 1, 1, width))
        x = self.model.embed(ids) if self.has_table else self.links.receive(rows * width, ids)
        for i, layer in enumerate(self.model.decoder.layers):
            fused = layer.self_attention.linear_qkv(layer.input_layernorm(x)).reshape(rows, width, -1)
            q, k, v = composed.split_qkv(fused, self.groups, self.repeats, self.head_dim)
            attention = layer.self_attention
            if attention.q_layernorm is not None:
                norms = attention.q_layernorm.weight, attention.k_layernorm.weight
                q, k = attention.normalized(q, k, *norms)
            keys = self.remember(self.keys[i], targets, rotate(k, cos, sin), slots)
            values = self.remember(self.values[i], targets, v, slots)
            mixed = composed.attend(rotate(q, cos, sin), keys, values, penalty)
            x = x + layer.leave(layer.self_attention.linear_proj(mixed.reshape(rows * width, -1)))
            x = x + layer.leave(layer.mlp(layer.pre_mlp_layernorm(x)))
        if not self.has_head:
            return x
        ends = Tensor(np.arange(rows, dtype=np.int32)) * width + last
        return self.model.logits(ops.gather(x, ends, 0))

    def remember(self, cache: Parameter, targets: Tensor, new: Tensor, slots: Tensor) -> Tensor:
        """Write new [rows, groups, 1, width, head_dim]; return all of the rows' [rows, groups, 1, capacity, head_dim]."""
        rows, groups, _, width, size = new.shape
        updated = self.write(cache, targets, new.reshape(rows, groups, width, size))
        updated = updated.reshape(self.slots, groups, 1, self.capacity, size)
        return updated if width == 1 else ops.gather(updated, slots, 0)

    def copy(self, table: Tensor) -> Tensor:
        """Slot i takes over the rows of slot table[i]."""
        for cache in self.keys + self.values:
            rows = cache.reshape(self.slots, -1)
            ops.assign(cache, ops.gather(rows, table, 0).reshape(cache.shape))
        return table


def _empty(name: str, shape: tuple[int, int]) -> Parameter:
    return Parameter(Tensor(np.zeros(shape, np.float32)), name=name, requires_grad=False)
