"""An array of any type from a running graph, without burning a core while it is awaited.

`completion.Completion` for generation, whose results are arrays: see there why the graph hands them over
itself. MindSpore's cache of compiled graphs cannot keep such a graph, since the Python function in it is known
by its address: the cache must be off (graph_cache).
"""

from __future__ import annotations

import queue

import numpy as np
from mindspore import Tensor, nn, ops

from distillery.engine.completion import awaited


class Arrival(nn.Cell):
    """The last node of a graph: the graph returns what it returns."""

    def __init__(self) -> None:
        super().__init__()
        results: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()

        def arrived(value: np.ndarray) -> np.ndarray:
            results.put(np.array(value))
            return value[:1]

        self._results = results
        self._node = ops.Custom(
            arrived, lambda shape: [1, *shape[1:]], lambda dtype: dtype, func_type="pyfunc"
        )

    def construct(self, value: Tensor) -> Tensor:
        return self._node(value)

    def wait(self, handle: Tensor) -> np.ndarray:
        """Sleep until the graph has run, and return its array; see `completion.awaited`."""
        return awaited(self._results, handle)
