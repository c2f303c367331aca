"""Communication between ranks, all of it made of AllReduce-SUM.

On a CPU, MindSpore 2.10 has neither AllGather, Broadcast, ReduceScatter nor Send/Receive for groups other than
the world, and no maximum. A sum in which all but one rank contribute zeros moves data exactly; the price is
bandwidth. On Ascend the same code runs, and is exact as well.

Collectives of one graph must depend on each other: independent ones may start in another order on each rank.
"""

from __future__ import annotations

import os
from functools import cache

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from distillery import command
from distillery.engine import rank_end
from distillery.engine.completion import Completion
from distillery.engine.mesh import Mesh, mesh


def join(tensor: int, pipeline: int, device: str) -> Mesh:
    """This process's place; under msrun the processes find each other here. Tells MindSpore its device, once.

    Raises:
        UsageProblem: the layout does not fit the number of processes.
    """
    world, rank = int(os.environ.get("MS_WORKER_NUM", 1)), 0
    ms.set_device(device)  # before init()
    if world > 1:
        from mindspore.communication import get_rank, init

        init()
        command.at_end(rank_end.keep)
        rank = get_rank()
    place = mesh(tensor, pipeline, world, rank)
    if world > 1:
        prepare(place)
    return place


@cache
def group(ranks: tuple[int, ...]) -> str:
    """Name of the communication group of these ranks; every member must ask for it in the same order."""
    from mindspore.communication import create_group

    name = "ranks-" + "-".join(map(str, ranks))
    create_group(name, list(ranks))
    return name


def prepare(place: Mesh) -> None:
    """Make all groups of a mesh on every rank in one order: a rank that waits for another never deadlocks."""
    found = {tuple(range(place.world))}
    for rank in range(place.world):
        other = Mesh(place.tensor, place.data, place.pipeline, rank)
        axes = ["tensor", "data", "pipeline", "ends"] + ([] if other.last else ["next"])
        found.update(other.peers(axis) for axis in axes)
    for ranks in sorted(found):
        if len(ranks) > 1 and place.rank in ranks:
            group(ranks)


class Sum(nn.Cell):
    """Elementwise sum over `ranks`, of a tensor without gradient; the identity for one rank."""

    def __init__(self, ranks: tuple[int, ...]):
        super().__init__()
        self.reduce = ops.AllReduce(ops.ReduceOp.SUM, group(ranks)) if len(ranks) > 1 else None

    def construct(self, x: Tensor) -> Tensor:
        return x if self.reduce is None else self.reduce(x)


class Copy(nn.Cell):
    """Megatron's f: the identity, whose gradient is the sum over ranks.

    It stands where a replicated activation enters sharded weights.
    """

    def __init__(self, ranks: tuple[int, ...]):
        super().__init__()
        self.sum = Sum(ranks)

    def construct(self, x: Tensor) -> Tensor:
        return x

    def bprop(self, x, out, gradient):
        return (self.sum(gradient),)


class Reduce(nn.Cell):
    """Megatron's g: the sum over ranks, whose gradient is the identity.

    It stands where partial results leave sharded weights.
    """

    def __init__(self, ranks: tuple[int, ...]):
        super().__init__()
        self.sum = Sum(ranks)

    def construct(self, x: Tensor) -> Tensor:
        return self.sum(x)

    def bprop(self, x, out, gradient):
        return (gradient,)


class Gather(nn.Cell):
    """x [n] of every rank as [ranks, n] on all of them.

    The gradient is this rank's row, because every rank computes the same from the whole.
    """

    def __init__(self, ranks: tuple[int, ...], index: int):
        super().__init__()
        self.sum, self.index = Sum(ranks), index
        self.mine = Tensor(np.eye(len(ranks), dtype=np.float32)[index][:, None])

    def construct(self, x: Tensor) -> Tensor:
        return self.sum(self.mine * x.expand_dims(0))

    def bprop(self, x, out, gradient):
        return (gradient[self.index],)


class Agreement:
    """Whether any rank of the world says yes."""

    def __init__(self, world: int):
        total = Sum(tuple(range(world)))
        completion = Completion()

        def count(vote):
            sum_of_votes = total(vote)
            return completion(sum_of_votes, sum_of_votes)

        self._completion, self._count = completion, ms.jit(count)

    def any(self, vote: bool) -> bool:
        return bool(self._completion.wait(self._count(Tensor(np.float32(vote))))[0] > 0)


class Exchange:
    """Two neighbouring stages hand each other a tensor: activations forwards, gradients backwards.

    Args:
        ranks: (earlier, later) stage's rank; later: whether this process is the later one.
        shape: of every tensor that is sent.
    """

    def __init__(self, ranks: tuple[int, ...], later: bool, shape: tuple[int, ...]):
        self.zeros = ops.zeros(shape, ms.float32)
        total, own = Sum(ranks), int(later)

        def swap(x):
            parts = (ops.zeros_like(x), x) if own else (x, ops.zeros_like(x))
            return total(ops.stack(parts))[1 - own]

        def move(x):
            return total(x)

        self._swap, self._move = ms.jit(swap), ms.jit(move)

    def send(self, x: Tensor) -> None:
        self._move(x)

    def receive(self) -> Tensor:
        return self._move(self.zeros)

    def swap(self, x: Tensor) -> Tensor:
        """Send x and receive the neighbour's in one collective."""
        return self._swap(x)
