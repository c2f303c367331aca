"""Forward and backward passes of a stage's layers, as graphs that keep no activations for one another.

Both kinds compute activations again in the backward pass. `WholeStage` does so for all layers of a stage at once;
`LayerByLayer` keeps every layer's input and does so for one layer at a time. A graph of MindSpore's CPU back end
holds the memory of its intermediate results for good, so all layers share two graphs, which take the weights as
arguments: activations cost one layer's memory and an input per layer, however many layers there are. Logits, which
a large vocabulary makes larger than all else, exist for LOGITS numbers' worth of tokens at a time.
"""

from __future__ import annotations

from types import ModuleType

import mindspore as ms
from mindspore import ParameterTuple, Tensor, nn, ops

from distillery.engine import adapters
from distillery.engine.decoder import Decoder
from distillery.engine.mesh import Mesh
from distillery.engine.train_step import Objective

LOGITS = 2**24  # 64 MB in float32, several times that with gradients
Feed = tuple[Tensor, ...]  # ids, labels, positions, segments, weight: a micro-batch
Gradients = list[Tensor]  # in the order of the model's trained parameters


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


class WholeStage:
    """All layers in one graph.

    `forward` and `backward` get a micro-batch and `kept`, a list that starts with what enters the stage (ids or
    the former stage's output) and to which `forward` may add what `backward` can use.
    """

    def __init__(self, model: Decoder, kernels: ModuleType, mesh: Mesh):
        stage, first = Stage(model, mesh.first), mesh.first
        weighed = Weighed(stage, Objective(model, kernels, mesh) if mesh.last else None)
        parameters = ParameterTuple(adapters.trained(model).values())
        gradient = ms.value_and_grad(weighed, None if first else 0, parameters)

        def forward(x, positions, segments):
            return stage(x, positions, segments)

        def backward(x, positions, segments, labels, weight, cotangent):
            value, found = gradient(x, positions, segments, labels, weight, cotangent)
            back, gradients = (value, found) if first else found
            return (value, back, *gradients)

        def loss(x, positions, segments, labels, weight):
            return weighed(x, positions, segments, labels, weight, x)

        self._forward, self._backward, self._loss = ms.jit(forward), ms.jit(backward), ms.jit(loss)

    def begin(self) -> None:
        """Called before a step or an evaluation, when no graph is running."""

    def forward(self, feed: Feed, kept: list[Tensor]) -> Tensor:
        """The stage's output [tokens, hidden]."""
        _, _, positions, segments, _ = feed
        return self._forward(kept[0], positions, segments)

    def backward(self, feed: Feed, kept: list[Tensor], cotangent: Tensor) -> tuple[Tensor, Tensor, Gradients]:
        """(loss, gradient of what entered the stage, gradients).

        The cotangent is unused on the last stage, the loss means something there only, and the first stage's second
        item nothing.
        """
        _, labels, positions, segments, weight = feed
        value, back, *gradients = self._backward(kept.pop(), positions, segments, labels, weight, cotangent)
        return value, back, gradients

    def loss(self, feed: Feed, x: Tensor) -> Tensor:
        """The last stage's loss of what entered it, without gradients."""
        _, labels, positions, segments, weight = feed
        return self._loss(x, positions, segments, labels, weight)


class Head(nn.Cell):
    """From the last layer's output to the loss."""

    def __init__(self, objective: Objective):
        super().__init__()
        self.objective = objective

    def construct(self, x, labels, weight):
        return self.objective.loss(x, labels, weight)


class LayerByLayer:
    """One layer at a time; the same use as WholeStage."""

    def __init__(self, model: Decoder, kernels: ModuleType, mesh: Mesh):
        self.model, self.mesh = model, mesh
        self._place = {id(p): i for i, p in enumerate(adapters.trained(model).values())}
        layer = model.decoder.layers[0]
        learnt = [5 + i for i, weight in enumerate(layer.weights()) if id(weight) in self._place]

        def pulled(x, cos, sin, segments, cotangent, *weights):
            return (layer.with_weights(x, cos, sin, segments, *weights) * cotangent).sum()

        pull = ms.grad(pulled, (0, *learnt))

        def angles(positions):
            return model.angles(positions)

        def forward(x, cos, sin, segments, *weights):
            return layer.with_weights(x, cos, sin, segments, *weights)

        def backward(x, cos, sin, segments, cotangent, *weights):
            return pull(x, cos, sin, segments, cotangent, *weights)

        self._angles, self._forward, self._backward = ms.jit(angles), ms.jit(forward), ms.jit(backward)
        self._weights: list[list[Tensor]] = []
        if mesh.first:
            self._embed, self._embed_backward = self._embedding()
        if mesh.last:
            self._head_parameters, self._head_piece = self._loss_and_gradients(kernels)

    def _embedding(self):
        model = self.model
        table = model.embedding.word_embeddings.weight

        def weighed(ids, cotangent):
            return (model.embed(ids) * cotangent).sum()

        gradient = ms.grad(weighed, None, ParameterTuple([table]))

        def embed(ids):
            return model.embed(ids)

        def backward(ids, cotangent):
            return gradient(ids, cotangent)[0]

        return ms.jit(embed), ms.jit(backward)

    def _head(self, x: Tensor, labels: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Gradients]:
        """Loss, gradient of x [tokens, hidden], and those of the head's parameters, in equal pieces of the tokens."""
        tokens, labels = len(x), labels.reshape(-1)
        pieces = next(
            n for n in range(1, tokens + 1) if tokens % n == 0 and tokens // n * self.model.rows <= LOGITS
        )
        size, total, back, sums = tokens // pieces, 0.0, [], []
        for at in range(0, tokens, size):
            value, part, *gradients = self._head_piece(x[at : at + size], labels[at : at + size], weight)
            total = total + value
            back.append(part)
            sums = [a + b for a, b in zip(sums, gradients, strict=True)] if sums else gradients
        return total, ops.concat(back), sums

    def _loss_and_gradients(self, kernels: ModuleType):
        model = self.model
        head = model.embedding.word_embeddings if model.output_layer is None else model.output_layer
        parameters = [model.decoder.final_layernorm.weight, head.weight]
        parameters = [one for one in parameters if id(one) in self._place]
        learnt = ParameterTuple(parameters) if parameters else None
        gradient = ms.value_and_grad(Head(Objective(model, kernels, self.mesh)), 0, learnt)

        def backward(x, labels, weight):
            value, found = gradient(x, labels, weight)
            if learnt is None:
                return value, found
            back, gradients = found
            return (value, back, *gradients)

        return parameters, ms.jit(backward)

    def begin(self) -> None:
        """Take the layers' weights as tensors on the parameters' memory.

        A graph that is given Parameters is compiled anew for each one's name. `value` would copy them, and `asnumpy`
        would wait in a busy loop while graphs run. Neither sees an update that moves a parameter, as its first one does.
        """
        self._weights = [
            [Tensor.from_numpy(weight.asnumpy()) for weight in layer.weights()]
            for layer in self.model.decoder.layers
        ]

    def forward(self, feed: Feed, kept: list[Tensor]) -> Tensor:
        """As WholeStage.forward; appends every layer's input, then cos, sin and the output."""
        ids, _, positions, segments, _ = feed
        x, (cos, sin) = self._embed(ids) if self.mesh.first else kept[0], self._angles(positions)
        kept.clear()
        for weights in self._weights:
            kept.append(x)
            x = self._forward(x, cos, sin, segments, *weights)
        kept += [cos, sin, x]
        return x

    def backward(self, feed: Feed, kept: list[Tensor], cotangent: Tensor) -> tuple[Tensor, Tensor, Gradients]:
        """As WholeStage.backward."""
        ids, labels, _, segments, weight = feed
        if len(kept) == 1:
            self.forward(feed, kept)
        gradients: dict[int, Tensor] = {}
        output, sin, cos, value = kept.pop(), kept.pop(), kept.pop(), weight
        if self.mesh.last:
            value, cotangent, found = self._head(output, labels, weight)
            self._add(gradients, self._head_parameters, found)
        for layer, weights in zip(reversed(self.model.decoder.layers), reversed(self._weights), strict=True):
            cotangent, *found = self._backward(kept.pop(), cos, sin, segments, cotangent, *weights)
            self._add(gradients, [one for one in layer.weights() if id(one) in self._place], found)
        table = self.model.embedding.word_embeddings.weight if self.mesh.first else None
        if id(table) in self._place:
            found = [self._embed_backward(ids, cotangent)]
            self._add(gradients, [table], found)
        return value, cotangent, [gradients[i] for i in range(len(gradients))]

    def _add(self, gradients: dict[int, Tensor], parameters, found) -> None:
        for parameter, gradient in zip(parameters, found, strict=True):
            place = self._place[id(parameter)]
            gradients[place] = gradients[place] + gradient if place in gradients else gradient

    def loss(self, feed: Feed, x: Tensor) -> Tensor:
        """As WholeStage.loss; a graph without gradients would hold logits of its own."""
        _, labels, _, _, weight = feed
        return self._head(self.forward(feed, [x]), labels, weight)[0]
