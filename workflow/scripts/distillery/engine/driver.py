"""One rank drives those that share a model with it: it alone reads requests, draws tokens and hears signals.

    first = driver.meet(mesh)            # a Driver on the first rank of each copy, a connection to it on its others
    if not isinstance(first, driver.Driver): driver.follow(first, load)

Orders go over sockets. In a collective a rank waits for at most 30 seconds on a CPU (MindSpore 2.10), and none of
its settings changes that; here the others wait as long as the first takes, and notice if it is gone.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor

from distillery.engine.collectives import Sum
from distillery.engine.completion import ArrayCompletion
from distillery.engine.mesh import Mesh
from distillery.engine.slots import Slots
from distillery.problems import Problem

KEY_BYTES = 32


class Driver:
    """The first rank of a copy of the model with its connections to that copy's others; none if it is alone."""

    def __init__(self, mesh: Mesh, others: list[Connection]):
        self.mesh, self.others = mesh, others

    def build(self, load: Callable[[Mesh, int, int], Slots], slots: int, longest: int) -> Slots:
        """Load the model on all ranks.

        Args:
            load: this rank's part, of its mesh, slots and longest sequence.

        Raises:
            Problem: it failed on another rank, or ended in another kind of model there.
        """
        self.tell("build", slots, longest)
        made = load(self.mesh, slots, longest)
        made.announce = self.tell
        with _noticed("another rank"):
            kinds = {type(made).__name__, *(other.recv() for other in self.others)}
        if len(kinds) > 1:
            raise Problem(
                "the ranks do not compute alike: some have a C++ compiler, others not",
                where="--kernels",
                found=", ".join(sorted(kinds)),
                fix="install g++ on all nodes, or use --kernels composed",
            )
        return made

    def tell(self, *order: Any) -> None:
        """Give all other ranks one of `follow`'s orders."""
        with _noticed("another rank"):
            for other in self.others:
                other.send(order)


def meet(mesh: Mesh) -> Driver | Connection:
    """Connect the first rank of each copy of the model with its others; all ranks wait here for one another."""
    if mesh.world == 1:
        return Driver(mesh, [])
    host = os.environ["MS_SCHED_HOST"]  # msrun's master address, rank 0's machine
    keys = np.zeros((mesh.data, KEY_BYTES + 1), np.float32)
    listener = None
    if mesh.rank == mesh.peers("model")[0]:
        secret = secrets.token_bytes(KEY_BYTES)
        listener = Listener((host, 0), backlog=mesh.model, authkey=secret)
        keys[mesh.data_rank] = [*secret, listener.address[1]]
    *secret, port = _shared(keys, mesh.world)[mesh.data_rank].astype(int).tolist()
    if listener is None:
        return Client((host, port), authkey=bytes(secret))
    with listener:
        return Driver(mesh, [listener.accept() for _ in range(mesh.model - 1)])


def follow(first: Connection, load: Callable[[int, int], Slots]) -> None:
    """Do what the first rank of this copy says until it ends.

    It says ("build", slots, longest sequence), ("run", greedy, inputs), ("move", table) and ("end",).

    Raises:
        Problem: it is gone.
    """
    model: Slots | None = None
    while True:
        with _noticed("the first rank"):
            name, *rest = first.recv()
        if name == "end":
            return
        if name == "build":
            model = load(*rest)
            first.send(type(model).__name__)
        elif name == "run":
            model.run(*rest)
        elif name == "move":
            model.move(*rest)


def _shared(mine: np.ndarray, world: int) -> np.ndarray:
    """The sum over all ranks."""
    arrival, total = ArrayCompletion(), Sum(tuple(range(world)))

    def add(x):
        return arrival(total(x))

    return arrival.wait(ms.jit(add)(Tensor(mine)))


@contextmanager
def _noticed(who: str) -> Iterator[None]:
    """Turn the end of a connection into a Problem."""
    try:
        yield
    except (EOFError, ConnectionError):
        raise Problem(
            f"{who} ended before the work was done", fix="read its log: worker_<rank>.log"
        ) from None
