"""A training step as compiled graphs: forward, masked loss, gradients, clipping, AdamW.

    step = Step(model, settings, kernels)
    loss, grad_norm = step.run(1, micro_batches)

One micro-batch is one graph. With accumulation a graph adds each micro-batch's gradients up and another one updates
the weights: a graph holds the memory of its activations for good, so only one may have any. Pipeline stages and
recomputation are pipeline.PipelineStep's.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from distillery.engine import adapters
from distillery.engine.batches import Batch
from distillery.engine.collectives import Gather, Reduce, Sum
from distillery.engine.completion import Completion
from distillery.engine.decoder import Decoder, load_state, state_dict
from distillery.engine.mesh import Mesh
from distillery.engine.optimizer import Optimizer
from distillery.engine.sharded import ShardedOptimizer
from distillery.engine.train_settings import Settings
from distillery.marks import IGNORED


class VocabParallelCrossEntropy(nn.Cell):
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


class Objective(nn.Cell):
    """Weighted sum of the supervised tokens' cross entropies."""

    def __init__(self, model: Decoder, kernels: ModuleType, mesh: Mesh | None = None):
        super().__init__()
        self.model = model
        if mesh is not None and mesh.tensor > 1:
            self.cross_entropy = VocabParallelCrossEntropy(kernels, mesh, model.first_row, model.columns)
        else:
            self.cross_entropy = kernels.CrossEntropy()

    def construct(
        self, ids: Tensor, labels: Tensor, positions: Tensor, segments: Tensor, weight: Tensor
    ) -> Tensor:
        return self.loss(self.model.hidden(ids, positions, segments), labels, weight)

    def loss(self, x: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
        """From the last layer's output [tokens, hidden]."""
        return self.cross_entropy(self.model.logits(x), labels.reshape(-1)).sum() * weight


def weights(batches: list[Batch], per_token: bool) -> list[np.float32]:
    """What a token's loss counts in each micro-batch, so that the step's loss is a mean.

    The reference's default is the mean over micro-batches of each one's mean; `per_token` is the mean over all
    supervised tokens. A micro-batch without any contributes 0.
    """
    counts = [batch.supervised for batch in batches]
    if per_token:
        return [np.float32(1 / max(sum(counts), 1))] * len(batches)
    return [np.float32(1 / (max(count, 1) * len(batches))) for count in counts]


def own(batches: list[Batch], settings: Settings, mesh: Mesh) -> tuple[list[Batch], list[np.float32]]:
    """This data rank's micro-batches and their weights in the whole step."""
    mine = slice(mesh.data_rank, None, mesh.data)
    return batches[mine], weights(batches, settings.per_token_loss)[mine]


def make_optimizer(
    model: Decoder, settings: Settings, kernels: ModuleType, mesh: Mesh, zero: bool
) -> Optimizer | ShardedOptimizer:
    """For what a rank trains."""
    names, parameters = zip(*adapters.trained(model).items(), strict=True)
    if mesh.world == 1:
        return Optimizer(list(names), list(parameters), settings, kernels)
    return ShardedOptimizer(list(names), list(parameters), settings, mesh, model.arch.tied, zero)


def accumulators(named: dict[str, Parameter]) -> ParameterTuple:
    """A zero for each parameter, to sum gradients in."""
    return ParameterTuple(
        Parameter(ops.zeros_like(p), name=f"accumulated.{name}", requires_grad=False)
        for name, p in named.items()
    )


def state(
    model: Decoder, optimizer: Optimizer | ShardedOptimizer
) -> tuple[Mapping[str, np.ndarray], dict[str, np.ndarray]]:
    """(weights by MCore name, optimizer moments and adapters by name): copies, but for what never changes."""
    moments = {name: p.asnumpy().copy() for name, p in optimizer.moments().items()}
    if model.lora is not None:
        return adapters.Merged(model, model.lora), moments | adapters.copies(model)
    return {name: array.copy() for name, array in state_dict(model).items()}, moments


def load(
    model: Decoder,
    optimizer: Optimizer | ShardedOptimizer,
    weights: Mapping[str, np.ndarray],
    moments: dict[str, np.ndarray],
) -> None:
    """The reverse of `state`; `moments` are those of all data-parallel ranks, as Snapshots.load returns them."""
    if model.lora is None:
        load_state(model, weights)
    else:  # the weights hold the adapters already: those of the start stay
        adapters.load(model, moments)
    optimizer.load(moments)


class Step:
    """Owns the compiled graphs, the optimizer and the gradient accumulators of a model.

    Args:
        mesh: this rank's place; data-parallel ranks share a step's micro-batches in turns.
        zero: shard the optimizer's moments over data-parallel ranks.
    """

    def __init__(
        self,
        model: Decoder,
        settings: Settings,
        kernels: ModuleType,
        mesh: Mesh | None = None,
        zero: bool = False,
    ):
        named = adapters.trained(model)
        self.settings, self.mesh = settings, mesh or Mesh()
        self.objective = Objective(model, kernels, mesh)
        self.optimizer = make_optimizer(model, settings, kernels, self.mesh, zero)
        self.completion = Completion()
        parameters = self.optimizer.parameters
        micro_batches = settings.global_batch_size // settings.micro_batch_size // self.mesh.data
        self.accumulated = accumulators(named if micro_batches > 1 else {})
        over_data = Sum(self.mesh.peers("data"))
        gradient = ms.value_and_grad(self.objective, None, parameters)
        accumulated, optimizer, completion = self.accumulated, self.optimizer, self.completion
        objective = self.objective

        def accumulate(ids, labels, positions, segments, weight):
            loss, gradients = gradient(ids, labels, positions, segments, weight)
            for total, part in zip(accumulated, gradients):  # noqa: B905 (jit has no strict)
                loss = ops.depend(loss, ops.assign_add(total, part))
            return completion(loss, loss)

        def update(hyper, loss):
            norm = optimizer(accumulated, hyper)
            for total in accumulated:
                norm = ops.depend(norm, ops.assign(total, ops.zeros_like(total)))
            return completion(over_data(ops.depend(loss, norm)), norm)

        def whole(ids, labels, positions, segments, weight, hyper):
            loss, gradients = gradient(ids, labels, positions, segments, weight)
            norm = optimizer(gradients, hyper)
            return completion(over_data(ops.depend(loss, norm)), norm)

        def evaluate(ids, labels, positions, segments, weight):
            loss = over_data(objective(ids, labels, positions, segments, weight))
            return completion(loss, loss)

        self._accumulate, self._update = ms.jit(accumulate), ms.jit(update)
        self._whole, self._evaluate = ms.jit(whole), ms.jit(evaluate)

    def run(self, number: int, batches: list[Batch]) -> tuple[float, float]:
        """Optimizer step `number` (1, 2, ...) on all ranks' micro-batches -> (mean loss, gradient norm)."""
        batches, shares = own(batches, self.settings, self.mesh)
        feeds = [(*batch.arrays(), weight) for batch, weight in zip(batches, shares, strict=True)]
        hyper = self.optimizer.hyper(number)
        if not self.accumulated:
            handle = self._whole(*map(Tensor, feeds[0]), hyper)
        else:
            total = np.float32(0)
            for feed in feeds:
                total += self.completion.wait(self._accumulate(*map(Tensor, feed)))[0]
            handle = self._update(hyper, Tensor(total))
        loss, norm = self.completion.wait(handle)
        return float(loss), float(norm)

    def evaluate(self, batches: list[Batch]) -> float:
        """Mean loss of micro-batches, weighted as in training, without an update."""
        loss = np.float32(0)
        for batch, weight in zip(*own(batches, self.settings, self.mesh), strict=True):
            loss += self.completion.wait(self._evaluate(*map(Tensor, batch.arrays()), Tensor(weight)))[0]
        return float(loss)

    def state(self) -> tuple[Mapping[str, np.ndarray], dict[str, np.ndarray]]:
        """As the function `state`."""
        return state(self.objective.model, self.optimizer)

    def load(self, model: Mapping[str, np.ndarray], optimizer: dict[str, np.ndarray]) -> None:
        """Continue from what `state` of every data-parallel rank returned."""
        load(self.objective.model, self.optimizer, model, optimizer)
