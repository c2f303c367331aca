"""One rank drives the others: it alone reads requests, draws tokens and hears signals, and tells them what to run.

    first = driver.meet(mesh)            # a Driver on rank 0, a connection to it on the others
    if mesh.rank: driver.follow(first, load)

Orders go over sockets. In a collective a rank waits for at most 30 seconds on a CPU (MindSpore 2.10), and none of
its settings changes that; here the others wait as long as rank 0 takes, and notice if it is gone.
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
    """Rank 0 with its connections to all other ranks; none if it is alone."""

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
    """Connect rank 0 and the others, who are in `meet` at the same time."""
    if mesh.world == 1:
        return Driver(mesh, [])
    host = os.environ["MS_SCHED_HOST"]  # msrun's master address, rank 0's machine
    key = np.zeros(KEY_BYTES + 1, np.float32)
    if mesh.rank == 0:
        secret = secrets.token_bytes(KEY_BYTES)
        listener = Listener((host, 0), backlog=mesh.world, authkey=secret)
        key[:] = [*secret, listener.address[1]]
    *secret, port = _shared(key, mesh.world).astype(int).tolist()
    if mesh.rank:
        return Client((host, port), authkey=bytes(secret))
    with listener:
        return Driver(mesh, [listener.accept() for _ in range(mesh.world - 1)])


def follow(first: Connection, load: Callable[[int, int], Slots]) -> None:
    """Do what rank 0 says until it ends.

    It says ("build", slots, longest sequence), ("run", greedy, inputs), ("move", table) and ("end",).

    Raises:
        Problem: rank 0 is gone.
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
