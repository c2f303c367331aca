"""Pipeline parallelism: stages of layers on different ranks, one forward one backward (1F1B, arXiv 2104.04473).

A stage keeps what its passes need of the micro-batches in flight, at most as many as there are stages after it
plus one, and computes its activations again in the backward pass: see passes. The last stage runs both passes at
once; a single stage, which is first and last, is how one process recomputes layer by layer.
"""

from __future__ import annotations

from collections import deque
from types import ModuleType

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

from distillery.engine.batches import Batch
from distillery.engine.collectives import Exchange, Sum
from distillery.engine.completion import Completion
from distillery.engine.decoder import Decoder
from distillery.engine.mesh import Mesh
from distillery.engine.passes import Feed, Gradients, LayerByLayer, WholeStage
from distillery.engine.train_settings import Settings
from distillery.engine.train_step import load, make_optimizer, own, state


class PipelineStep:
    """As step.Step, for one stage of several, or for one that recomputes."""

    def __init__(
        self, model: Decoder, settings: Settings, kernels: ModuleType, mesh: Mesh, zero: bool = False
    ):
        self.model, self.settings, self.mesh = model, settings, mesh
        self.optimizer = make_optimizer(model, settings, kernels, mesh, zero)
        self.passes = (LayerByLayer if settings.recompute else WholeStage)(model, kernels, mesh)
        self.completion = completion = Completion()
        optimizer, over_pipeline, over_data = (
            self.optimizer,
            Sum(mesh.peers("pipeline")),
            Sum(mesh.peers("data")),
        )

        def finish(loss, hyper, *gradients):
            norm = optimizer(gradients, hyper)
            return completion(over_data(over_pipeline(ops.depend(loss, norm))), norm)

        def report(loss):
            total = over_data(over_pipeline(loss))
            return completion(total, total)

        self._finish, self._report = ms.jit(finish), ms.jit(report)
        shape = (settings.micro_batch_size * settings.seq_length, model.arch.hidden_size)
        self.previous = None if mesh.first else Exchange(mesh.peers("previous"), True, shape)
        self.next = None if mesh.last else Exchange(mesh.peers("next"), False, shape)
        self.nothing = ops.zeros(shape, ms.float32)

    def run(self, number: int, batches: list[Batch]) -> tuple[float, float]:
        """Optimizer step `number` on all ranks' micro-batches -> (mean loss, gradient norm), equal on all ranks."""
        mine, shares = own(batches, self.settings, self.mesh)
        feeds = [
            (*map(Tensor, batch.arrays()), Tensor(weight)) for batch, weight in zip(mine, shares, strict=True)
        ]
        self.passes.begin()
        loss, gradients = self._one_forward_one_backward(feeds)
        handle = self._finish(loss, self.optimizer.hyper(number), *gradients)
        del gradients
        total, norm = self.completion.wait(handle)
        return float(total), float(norm)

    def _one_forward_one_backward(self, feeds: list[Feed]) -> tuple[Tensor, Gradients]:
        """All forward and backward passes -> sums of this stage's losses (0 but on the last) and gradients."""
        ahead = min(self.mesh.pipeline - self.mesh.pipeline_rank - 1, len(feeds))
        waiting: deque[tuple[Feed, list[Tensor]]] = deque()  # micro-batches whose backward is to come
        total, sums = Tensor(np.float32(0)), []

        def backward(cotangent: Tensor) -> Tensor:
            nonlocal total
            value, back, gradients = self.passes.backward(*waiting.popleft(), cotangent)
            total = total + value
            sums[:] = [a + b for a, b in zip(sums, gradients, strict=True)] if sums else gradients
            return back

        for feed in feeds[:ahead]:
            waiting.append((feed, [self._receive(feed)]))
            self.next.send(self.passes.forward(*waiting[-1]))
        steady = feeds[ahead:]
        if steady:
            waiting.append((steady[0], [self._receive(steady[0])]))
        for i in range(len(steady)):
            cotangent = self.nothing
            if not self.mesh.last:
                cotangent = self.next.swap(self.passes.forward(*waiting[-1]))
            back = backward(cotangent)
            if i + 1 < len(steady):
                feed = steady[i + 1]
                waiting.append((feed, [feed[0] if self.mesh.first else self.previous.swap(back)]))
            elif not self.mesh.first:
                self.previous.send(back)
        while waiting:
            back = backward(self.next.receive())
            if not self.mesh.first:
                self.previous.send(back)
        return (total if self.mesh.last else total * 0.0), sums

    def _receive(self, feed: Feed) -> Tensor:
        """What enters this stage: ids, or the former stage's output."""
        return feed[0] if self.mesh.first else self.previous.receive()

    def evaluate(self, batches: list[Batch]) -> float:
        """Mean loss of micro-batches, weighted as in training, without an update."""
        self.passes.begin()
        total = Tensor(np.float32(0))
        for batch, weight in zip(*own(batches, self.settings, self.mesh), strict=True):
            feed = (*map(Tensor, batch.arrays()), Tensor(weight))
            x = self._receive(feed)
            if self.mesh.last:
                total = total + self.passes.loss(feed, x)
            else:
                self.next.send(self.passes.forward(feed, [x]))
        return float(self.completion.wait(self._report(total))[0])

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Copies of (this rank's weights by MCore name, its optimizer moments by name)."""
        return state(self.model, self.optimizer)

    def load(self, model: dict[str, np.ndarray], optimizer: dict[str, np.ndarray]) -> None:
        """Continue from what `state` of every data-parallel rank returned."""
        load(self.model, self.optimizer, model, optimizer)
