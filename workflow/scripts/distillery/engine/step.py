"""A training step as compiled graphs: forward, masked loss, gradients, clipping, AdamW.

    step = Step(model, settings, kernels)
    loss, grad_norm = step.run(1, micro_batches)

One micro-batch is one graph; with accumulation, all micro-batches but the last run through a second graph that
only adds to the accumulated gradients.
"""

from __future__ import annotations

from types import ModuleType

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from distillery.engine.batches import Batch
from distillery.engine.completion import Completion
from distillery.engine.decoder import Decoder, load_state, state_dict
from distillery.engine.optimizer import Optimizer
from distillery.engine.settings import Settings


class Objective(nn.Cell):
    """Weighted sum of the supervised tokens' cross entropies."""

    def __init__(self, model: Decoder, kernels: ModuleType):
        super().__init__()
        self.model = model
        self.cross_entropy = kernels.CrossEntropy()

    def construct(
        self, ids: Tensor, labels: Tensor, positions: Tensor, segments: Tensor, weight: Tensor
    ) -> Tensor:
        logits = self.model.logits(self.model.hidden(ids, positions, segments))
        return self.cross_entropy(logits, labels.reshape(-1)).sum() * weight


def weights(batches: list[Batch], per_token: bool) -> list[np.float32]:
    """What a token's loss counts in each micro-batch, so that the step's loss is a mean.

    The reference's default is the mean over micro-batches of each one's mean; `per_token` is the mean over all
    supervised tokens. A micro-batch without any contributes 0.
    """
    counts = [batch.supervised for batch in batches]
    if per_token:
        return [np.float32(1 / max(sum(counts), 1))] * len(batches)
    return [np.float32(1 / (max(count, 1) * len(batches))) for count in counts]


class Step:
    """Owns the compiled graphs, the optimizer and the gradient accumulators of a model."""

    def __init__(self, model: Decoder, settings: Settings, kernels: ModuleType):
        named = dict(model.parameters_and_names())
        self.settings, self.kernels = settings, kernels
        self.objective = Objective(model, kernels)
        self.optimizer = Optimizer(list(named), list(named.values()), settings, kernels)
        self.completion = Completion()
        parameters = self.optimizer.parameters
        micro_batches = settings.global_batch_size // settings.micro_batch_size
        self.accumulated = ParameterTuple(
            Parameter(ops.zeros_like(p), name=f"accumulated.{name}", requires_grad=False)
            for name, p in (named.items() if micro_batches > 1 else ())
        )
        gradient = ms.value_and_grad(self.objective, None, parameters)
        accumulated, optimizer, completion = self.accumulated, self.optimizer, self.completion
        objective = self.objective

        def accumulate(ids, labels, positions, segments, weight):
            loss, gradients = gradient(ids, labels, positions, segments, weight)
            for total, part in zip(accumulated, gradients):  # noqa: B905 (jit has no strict)
                loss = ops.depend(loss, ops.assign_add(total, part))
            return completion(loss, loss)

        def finish(ids, labels, positions, segments, weight, hyper):
            loss, gradients = gradient(ids, labels, positions, segments, weight)
            if len(accumulated):
                whole = ()
                for total, part in zip(accumulated, gradients):  # noqa: B905 (jit has no strict)
                    whole = whole + (total + part,)
                gradients = whole
            norm = optimizer(gradients, hyper)
            for total in accumulated:
                norm = ops.depend(norm, ops.assign(total, ops.zeros_like(total)))
            return completion(loss, norm)

        def evaluate(ids, labels, positions, segments, weight):
            loss = objective(ids, labels, positions, segments, weight)
            return completion(loss, loss)

        self._accumulate, self._finish = ms.jit(accumulate), ms.jit(finish)
        self._evaluate = ms.jit(evaluate)

    def run(self, number: int, batches: list[Batch]) -> tuple[float, float]:
        """Optimizer step `number` (1, 2, ...) on its micro-batches -> (mean loss, gradient norm)."""
        loss = np.float32(0)
        shares = weights(batches, self.settings.per_token_loss)
        for batch, weight in zip(batches[:-1], shares[:-1], strict=True):
            handle = self._accumulate(*map(Tensor, batch.arrays()), Tensor(weight))
            loss += self.completion.wait(handle)[0]
        hyper = self.optimizer.hyper(number)
        handle = self._finish(*map(Tensor, batches[-1].arrays()), Tensor(shares[-1]), hyper)
        last, norm = self.completion.wait(handle)
        return float(loss + last), float(norm)

    def evaluate(self, batches: list[Batch]) -> float:
        """Mean loss of micro-batches, weighted as in training, without an update."""
        loss = np.float32(0)
        for batch, weight in zip(batches, weights(batches, self.settings.per_token_loss), strict=True):
            loss += self.completion.wait(self._evaluate(*map(Tensor, batch.arrays()), Tensor(weight)))[0]
        return float(loss)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Copies of (weights by MCore name, optimizer moments by name)."""
        moments = {name: p.asnumpy().copy() for name, p in self.optimizer.moments().items()}
        return {name: array.copy() for name, array in state_dict(self.objective.model).items()}, moments

    def load(self, model: dict[str, np.ndarray], optimizer: dict[str, np.ndarray]) -> None:
        """Continue from what `state` returned."""
        load_state(self.objective.model, model)
        for name, parameter in self.optimizer.moments().items():
            parameter.set_data(Tensor(optimizer[name]))
