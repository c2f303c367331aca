"""A decoder that keeps sequences in slots: what its two kinds, composed (cache.py) and native (native_cache.py), share.

On several ranks the first one is called as if it were alone. It announces every graph it runs, and the others run it
too (driver.py); lengths of sequences exist on the first only.
"""

from __future__ import annotations

from collections.abc import Callable

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from distillery.architecture import Architecture
from distillery.engine import graph_cache
from distillery.engine.completion import ArrayCompletion
from distillery.engine.generation_links import Links
from distillery.engine.mesh import Mesh


class Slots(nn.Cell):
    """A kind defines `extend`, and inside the graph `forward`, `best` and `copy`.

    Args:
        slots: sequences that can be kept.
        first_id, columns: this rank's part of the vocabulary.
        reusable: results are handed over by a graph of its own, so that MindSpore may keep the others; see
            graph_cache.
    """

    def __init__(
        self, arch: Architecture, slots: int, mesh: Mesh, first_id: int, columns: int, reusable: bool
    ):
        super().__init__()
        self.slots = slots
        self.lengths = np.zeros(slots, np.int32)
        self.announce: Callable[..., None] = lambda *_: None
        self.links = Links(arch, mesh, first_id, columns) if mesh.model > 1 else None
        self.has_table, self.has_head = mesh.first, mesh.last
        self.arrival, self.reusable = ArrayCompletion(), reusable
        self._deliver = ms.jit(self.deliver)
        self._graphs = {False: ms.jit(self.scores), True: ms.jit(self.most_likely)}
        self._copy = ms.jit(self.copy)

    def cut(self, slot: int, length: int) -> None:
        """Keep the first `length` tokens of a slot's sequence; 0 empties the slot."""
        self.lengths[slot] = length

    def reorder(self, sources: dict[int, int]) -> None:
        """Slot i takes over the sequence of slot sources[i], all at once."""
        table = np.arange(self.slots, dtype=np.int32)
        table[list(sources)] = list(sources.values())
        self.lengths = self.lengths[table]
        self.announce("move", table)
        self.move(table)

    def move(self, table: np.ndarray) -> None:
        """Slot i takes over the keys and values of slot table[i] (int32 [slots])."""
        self._copy(Tensor(table))

    def ask(self, greedy: bool, *inputs: np.ndarray) -> np.ndarray:
        """`run` on all ranks."""
        self.announce("run", greedy, *inputs)
        return self.run(greedy, *inputs)

    def run(self, greedy: bool, *inputs: np.ndarray) -> np.ndarray:
        """Logits [rows, vocab], or if `greedy` the most likely ids int32 [rows], of `forward`'s inputs."""
        handle = self._graphs[greedy](*map(Tensor, inputs))
        if self.reusable:
            with graph_cache.off():
                handle = self._deliver(handle)
        found = self.arrival.wait(handle)
        return found if self.links is None or not greedy else self.links.choose(found)

    def scores(self, *inputs: Tensor) -> Tensor:
        """`forward`'s inputs, of which the fourth is [rows] -> logits [rows, vocab] after each row's last token."""
        part = self.forward(*inputs)
        return self.result(part if self.links is None else self.links.logits(part, inputs[3].shape[0]))

    def most_likely(self, *inputs: Tensor) -> Tensor:
        """As `scores`, but only the ids of the highest scores, int32 [rows]; on several ranks `Links.best`."""
        part = self.forward(*inputs)
        best = self.best(part, *inputs) if self.has_head else None
        return self.result(best if self.links is None else self.links.best(part, best, inputs[3].shape[0]))

    def result(self, value: Tensor) -> Tensor:
        return value if self.reusable else self.arrival(value)

    def deliver(self, value: Tensor) -> Tensor:
        return self.arrival(value)
