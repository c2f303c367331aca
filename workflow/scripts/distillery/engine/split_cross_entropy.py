"""Cross entropy of logits whose columns are spread over tensor ranks."""

from __future__ import annotations

from types import ModuleType

from mindspore import Tensor, nn, ops

from distillery.engine.collectives import Gather, Reduce
from distillery.engine.mesh import Mesh
from distillery.marks import IGNORED


class VocabularyCrossEntropy(nn.Cell):
    """As kernels.CrossEntropy, for this rank's columns first .. first + columns - 1 of the vocabulary.

    With lse_r the log of the sum of exponentials over rank r's columns, the loss is
    log(sum_r exp(lse_r)) - logit[label]; lse_r = CrossEntropy(logits_r, c) + logits_r[c] for any column c.
    """

    def __init__(self, kernels: ModuleType, mesh: Mesh, first: int, columns: int):
        super().__init__()
        self.first, self.columns = first, columns
        self.local = kernels.CrossEntropy()
        self.gather = Gather(mesh.peers("tensor"), mesh.tensor_rank)
        self.reduce = Reduce(mesh.peers("tensor"))

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        """logits [tokens, columns], labels int32 [tokens] of the whole vocabulary -> float32 [tokens]."""
        local = labels - self.first
        inside = ops.logical_and(local >= 0, local < self.columns)
        column = ops.select(inside, local, ops.zeros_like(local))
        chosen = ops.gather_elements(logits, 1, column.expand_dims(-1)).reshape(-1)
        own = self.local(logits, column) + chosen
        # the sum below waits for this one: collectives of a graph must come in one order on all ranks
        target = self.reduce(chosen * inside.astype("float32"))
        every = self.gather(ops.depend(own, target))
        top = ops.stop_gradient(every.max(0))
        whole = ops.log(ops.exp(every - top).sum(0)) + top
        return (whole - target) * (labels != IGNORED).astype("float32")
