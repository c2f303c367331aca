"""Pipeline parallelism: stages of layers on different ranks, one forward one backward (1F1B, arXiv 2104.04473).

A stage keeps only the inputs of the micro-batches in flight, at most as many as there are stages after it plus
one, and computes its activations again in the backward pass. The last stage runs both passes at once.
"""

from __future__ import annotations

from collections import deque
from types import ModuleType

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from distillery.engine.batches import Batch
from distillery.engine.collectives import Exchange, Sum
from distillery.engine.completion import Completion
from distillery.engine.decoder import Decoder
from distillery.engine.mesh import Mesh
from distillery.engine.settings import Settings
from distillery.engine.step import Objective, accumulators, load, make_optimizer, own, state


class Stage(nn.Cell):
    """Embedding (first stage) and layers: ids or the former stage's output -> [tokens, hidden]."""

    def __init__(self, model: Decoder, first: bool):
        super().__init__()
        self.model, self.first = model, first

    def construct(self, x: Tensor, positions: Tensor, segments: Tensor) -> Tensor:
        return self.model.layers(self.model.embed(x) if self.first else x, positions, segments)


class Weighed(nn.Cell):
    """A scalar whose gradient pulls a cotangent back through a stage: sum(output * cotangent), or the loss."""

    def __init__(self, stage: Stage, objective: Objective | None):
        super().__init__()
        self.stage, self.objective = stage, objective

    def construct(self, x, positions, segments, labels, weight, cotangent):
        output = self.stage(x, positions, segments)
        if self.objective is None:
            return (output * cotangent).sum()
        return self.objective.loss(output, labels, weight)


class PipelineStep:
    """As step.Step, for one stage of several."""

    def __init__(
        self, model: Decoder, settings: Settings, kernels: ModuleType, mesh: Mesh, zero: bool = False
    ):
        self.model, self.settings, self.mesh = model, settings, mesh
        self.optimizer = make_optimizer(model, settings, kernels, mesh, zero)
        self.completion = completion = Completion()
        self.accumulated = accumulated = accumulators(dict(model.parameters_and_names()))
        stage, optimizer = Stage(model, mesh.first), self.optimizer
        weighed = Weighed(stage, Objective(model, kernels, mesh) if mesh.last else None)
        gradient = ms.value_and_grad(weighed, None if mesh.first else 0, optimizer.parameters)
        over_pipeline, over_data = Sum(mesh.peers("pipeline")), Sum(mesh.peers("data"))
        first = mesh.first

        def forward(x, positions, segments):
            return stage(x, positions, segments)

        def backward(x, positions, segments, labels, weight, cotangent):
            value, found = gradient(x, positions, segments, labels, weight, cotangent)
            back, gradients = (value, found) if first else found
            for total, part in zip(accumulated, gradients):  # noqa: B905 (jit has no strict)
                value = ops.depend(value, ops.assign_add(total, part))
            return value, ops.depend(back, value)

        def finish(loss, hyper):
            gradients = ()
            for total in accumulated:
                gradients = gradients + (total + 0.0,)
            norm = optimizer(gradients, hyper)
            for total in accumulated:
                norm = ops.depend(norm, ops.assign(total, ops.zeros_like(total)))
            return completion(over_data(over_pipeline(ops.depend(loss, norm))), norm)

        def report(loss):
            total = over_data(over_pipeline(loss))
            return completion(total, total)

        def loss(x, positions, segments, labels, weight):
            return weighed(x, positions, segments, labels, weight, x)

        self._forward, self._backward, self._loss = ms.jit(forward), ms.jit(backward), ms.jit(loss)
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
        loss = self._one_forward_one_backward(feeds)
        total, norm = self.completion.wait(self._finish(loss, self.optimizer.hyper(number)))
        return float(total), float(norm)

    def _one_forward_one_backward(self, feeds: list[tuple[Tensor, ...]]) -> Tensor:
        """All forward and backward passes; returns the sum of this stage's losses (0 but on the last)."""
        ahead = min(self.mesh.pipeline - self.mesh.pipeline_rank - 1, len(feeds))
        waiting: deque[tuple[tuple[Tensor, ...], Tensor]] = deque()  # micro-batches whose backward is to come
        total = Tensor(np.float32(0))
        for feed in feeds[:ahead]:
            waiting.append((feed, self._receive(feed)))
            self.next.send(self._through(*waiting[-1]))
        steady = feeds[ahead:]
        if steady:
            waiting.append((steady[0], self._receive(steady[0])))
        for i in range(len(steady)):
            cotangent = self.nothing if self.mesh.last else self.next.swap(self._through(*waiting[-1]))
            value, back = self._back(*waiting.popleft(), cotangent)
            total = total + value
            if i + 1 < len(steady):
                feed = steady[i + 1]
                waiting.append((feed, feed[0] if self.mesh.first else self.previous.swap(back)))
            elif not self.mesh.first:
                self.previous.send(back)
        while waiting:
            value, back = self._back(*waiting.popleft(), self.next.receive())
            total = total + value
            if not self.mesh.first:
                self.previous.send(back)
        return total if self.mesh.last else total * 0.0

    def _receive(self, feed: tuple[Tensor, ...]) -> Tensor:
        """What enters this stage: ids, or the former stage's output."""
        return feed[0] if self.mesh.first else self.previous.receive()

    def _through(self, feed: tuple[Tensor, ...], x: Tensor) -> Tensor:
        _, _, positions, segments, _ = feed
        return self._forward(x, positions, segments)

    def _back(self, feed: tuple[Tensor, ...], x: Tensor, cotangent: Tensor) -> tuple[Tensor, Tensor]:
        _, labels, positions, segments, weight = feed
        return self._backward(x, positions, segments, labels, weight, cotangent)

    def evaluate(self, batches: list[Batch]) -> float:
        """Mean loss of micro-batches, weighted as in training, without an update."""
        total = Tensor(np.float32(0))
        for batch, weight in zip(*own(batches, self.settings, self.mesh), strict=True):
            feed = (*map(Tensor, batch.arrays()), Tensor(weight))
            x = self._receive(feed)
            if self.mesh.last:
                _, labels, positions, segments, _ = feed
                total = total + self._loss(x, positions, segments, labels, feed[-1])
            else:
                self.next.send(self._through(feed, x))
        return float(self.completion.wait(self._report(total))[0])

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Copies of (this rank's weights by MCore name, its optimizer moments by name)."""
        return state(self.model, self.optimizer)

    def load(self, model: dict[str, np.ndarray], optimizer: dict[str, np.ndarray]) -> None:
        """Continue from what `state` returned."""
        load(self.model, self.optimizer, model, optimizer)
