"""What the ranks that share one model hand each other within a step of generation, inside its graph.

A logit is computed on one rank alone and moved exactly (all others add zeros to it), so every rank sees the same.
Each rank takes part in the same collectives in the same order: from the former stage, its layers' own, to the next
stage, the result's over all ranks.
"""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from distillery.architecture import Architecture
from distillery.engine.collectives import Sum
from distillery.engine.mesh import Mesh


class Links(nn.Cell):
    """The sums and hand-overs between ranks that generate together.

    Args:
        mesh: this rank's place; copies of the model, its data ranks, have nothing to do with one another.
        first_id, columns: this rank's part of the vocabulary.
    """

    def __init__(self, arch: Architecture, mesh: Mesh, first_id: int, columns: int):
        super().__init__()
        self.hidden, self.vocab, self.last = arch.hidden_size, arch.vocab_size, mesh.last
        self.tensor, self.before, self.after = mesh.tensor, first_id, arch.vocab_size - first_id - columns
        self.over_tensor = Sum(mesh.peers("tensor"))
        self.from_previous = None if mesh.first else Sum(mesh.peers("previous"))
        self.to_next = None if mesh.last else Sum(mesh.peers("next"))
        self.over_all = Sum(mesh.peers("model"))
        mine = np.eye(mesh.tensor, dtype=np.float32)[mesh.tensor_rank]
        self.mine = Tensor(mine.reshape(-1, 1, 1))

    def receive(self, tokens: int, ids: Tensor) -> Tensor:
        """The former stage's output [tokens, hidden]; `ids` only keeps the graph from computing it beforehand."""
        return self.from_previous(ops.depend(ops.zeros((tokens, self.hidden), ms.float32), ids))

    def logits(self, part: Tensor, rows: int) -> Tensor:
        """The whole [rows, vocab] on every rank.

        Args:
            part: the last stage's [rows, columns]; an earlier stage's output, which goes to the next.
        """
        if self.last:
            return self.over_all(ops.pad(part, (self.before, self.after)))
        return self.over_all(self.nothing(part, (rows, self.vocab)))

    def best(self, part: Tensor, ids: Tensor | None, rows: int) -> Tensor:
        """(highest logit, its id) of every tensor rank, float32 [tensor, 2, rows], on every rank.

        Ids are exact below 2^24.

        Args:
            part: as in `logits`; ids: int32 [rows], the last stage's highest columns.
        """
        if self.last:
            # MindSpore's max passes over NaN; NaN and infinity times 0 are NaN
            highest = part.max(-1) + (part * 0).sum(-1)
            pair = ops.stack((highest, ids.astype("float32") + self.before))
            return self.over_all(self.mine * pair)
        return self.over_all(self.nothing(part, (self.tensor, 2, rows)))

    def nothing(self, output: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Zeros, once the output has gone to the next stage."""
        return ops.depend(ops.zeros(shape, ms.float32), self.to_next(output))

    @staticmethod
    def choose(best: np.ndarray) -> np.ndarray:
        """From `best`'s result, the ids int32 [rows]; of equal logits the lowest id, of none that is a number -1."""
        winner = best[:, 0].argmax(0)
        chosen = best[winner, 1, np.arange(best.shape[2])]
        return np.where(np.isfinite(best).all((0, 1)), chosen, -1).astype(np.int32)
