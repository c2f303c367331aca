"""Our side of bench_generate.py: the engine, with one runner at a time."""

import os
import time
from itertools import pairwise
from pathlib import Path


class Ours:
    """Weights stay in the type that the model's files have, or are rounded to int8."""

    def __init__(self, model: Path, threads: int, kernels: str, weights: str = "stored"):
        from distillery.engine import threads as engine_threads

        engine_threads.limit(threads)
        os.environ["GLOG_v"] = "3"  # noqa: SIM112, MindSpore's name for it
        from distillery import model_config
        from distillery.convert import states
        from distillery.engine import runner_choice

        self.build = lambda slots, length: runner_choice.build(
            model_config.read(model),
            states.load_state(model),
            slots,
            length,
            kernels=kernels,
            weights=weights,
        )
        self.runner, self.length = None, 0

    def prepare(self, batch: list[list[int]], new: int) -> dict[str, float]:
        """Native layers serve any batch and length up to the largest, which come first, with one runner.

        Returns seconds of packing the weights, and of the graphs: what the first steps take longer than the same again.
        """
        start = time.perf_counter()
        length = max(map(len, batch)) + new
        native = type(self.runner).__name__ == "NativeDecoder" and length <= self.length
        if self.runner is None or self.runner.slots != len(batch) and not native or length > self.length:
            self.runner = None  # its memory first
            self.runner, self.length = self.build(len(batch), length), length
        times = [start, time.perf_counter()]
        for _ in range(2):
            self.run(batch, 2)
            times.append(time.perf_counter())
        pack, first, again = (after - before for before, after in pairwise(times))
        return {"pack": pack, "compile": max(first - again, 0.0), "warm_up": again}

    def run(self, batch: list[list[int]], new: int) -> tuple[list[list[int]], float]:
        """(tokens of each prompt, seconds to the first ones)."""
        from distillery.engine.generation import Request, Sampled, Stopping, generate

        steps: list[float] = []
        requests = [Request(i, tuple(ids)) for i, ids in enumerate(batch)]
        begin = time.perf_counter()
        answers = generate(
            self.runner,
            requests,
            lambda request: Sampled(request, Stopping(new), None),
            lambda: steps.append(time.perf_counter()),
        )
        rows = sorted(answers, key=lambda answer: answer.request.index)
        done = time.perf_counter()
        return [list(row.tokens) for row in rows], (steps[1] if len(steps) > 1 else done) - begin
