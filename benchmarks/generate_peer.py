"""The peer of bench_generate.py: transformers' generate with torch in float32."""

import statistics
import time
from pathlib import Path


class Transformers:
    def __init__(self, model: Path, threads: int, kernels: str):
        import torch
        from transformers import AutoModelForCausalLM

        torch.set_num_threads(threads)
        self.torch = torch
        self.model = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)

    def prepare(self, batch: list[list[int]], new: int) -> dict[str, float]:
        start = time.perf_counter()
        self.run(batch, 2)
        return {"warm_up": time.perf_counter() - start}

    def run(self, batch: list[list[int]], new: int) -> tuple[list[list[int]], float]:
        torch, longest = self.torch, max(map(len, batch))
        ids = torch.tensor([[0] * (longest - len(row)) + row for row in batch])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in batch])
        arrivals: list[float] = []

        class Clock:  # generate() hands it the prompt, then every step's tokens
            def put(self, value: object) -> None:
                arrivals.append(time.perf_counter())

            def end(self) -> None: ...

        begin = time.perf_counter()
        options = {"max_new_tokens": new, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        out = self.model.generate(ids, attention_mask=mask, streamer=Clock(), **options)
        return out[:, longest:].tolist(), arrivals[1] - begin

    def bandwidth(self) -> float:
        """Bytes a second at which torch reads memory: the sum of an array of 512 MB."""
        array = self.torch.ones(1 << 27)
        times = []
        for _ in range(7):
            start = time.perf_counter()
            array.sum()
            times.append(time.perf_counter() - start)
        return array.nbytes / statistics.median(times)
