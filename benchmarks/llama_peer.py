"""The peer of bench_generate.py that is llama.cpp; runs in an environment of its own (tests/support/llama_cpp)."""

import ctypes
import time
from pathlib import Path

import llama_cpp as ll
import numpy as np

ROOM = 256  # a sequence's share of the cache is a multiple of this


@ll.llama_log_callback
def _silent(level: int, text: bytes, data: object) -> None: ...


class LlamaCpp:
    """llama.cpp's own greedy answers, all sequences of a batch in one llama_decode a token.

    Args:
        model: a GGUF file. With float32 weights keys and values are float32 too, as ours; else float16, its default.
    """

    def __init__(self, model: Path, threads: int, kernels: str):
        ll.llama_log_set(_silent, ctypes.c_void_p(0))
        ll.llama_backend_init()
        self.threads, self.exact = threads, model.stem == "f32"
        self.model = ll.llama_model_load_from_file(str(model).encode(), ll.llama_model_default_params())
        assert self.model, f"llama.cpp cannot read {model}"
        self.vocab = ll.llama_vocab_n_tokens(ll.llama_model_get_vocab(self.model))
        self.context = None

    def prepare(self, batch: list[list[int]], new: int) -> dict[str, float]:
        start = time.perf_counter()
        if self.context:
            ll.llama_free(self.context)
        self.tokens = sum(map(len, batch))
        wanted = ll.llama_context_default_params()
        wanted.n_seq_max = len(batch)
        wanted.n_ctx = len(batch) * -(-(max(map(len, batch)) + new) // ROOM) * ROOM
        wanted.n_batch = max(self.tokens, wanted.n_batch)
        wanted.n_threads = wanted.n_threads_batch = self.threads
        if self.exact:
            wanted.type_k = wanted.type_v = ll.GGML_TYPE_F32
        self.context = ll.llama_init_from_model(self.model, wanted)
        assert self.context, "llama.cpp makes no context"
        made = time.perf_counter()
        self.run(batch, 2)
        return {"pack": made - start, "warm_up": time.perf_counter() - made}

    def run(self, batch: list[list[int]], new: int) -> tuple[list[list[int]], float]:
        """(tokens of each prompt, seconds to the first ones)."""
        begin = time.perf_counter()
        ll.llama_memory_clear(ll.llama_get_memory(self.context), False)
        step = ll.llama_batch_init(self.tokens, 0, 1)
        answers = [self._decode(step, [list(enumerate(ids)) for ids in batch])]
        first = time.perf_counter() - begin
        for made in range(1, new):
            places = (len(ids) + made - 1 for ids in batch)
            answers.append(self._decode(step, [[one] for one in zip(places, answers[-1], strict=True)]))
        ll.llama_batch_free(step)
        return [list(row) for row in zip(*answers, strict=True)], first

    def _decode(self, step: ll.llama_batch, rows: list[list[tuple[int, int]]]) -> list[int]:
        """The best next token of each sequence, given the (position, token)s that are new in it."""
        count, last = 0, []
        for number, row in enumerate(rows):
            for position, token in row:
                step.token[count], step.pos[count], step.logits[count] = token, position, False
                step.n_seq_id[count], step.seq_id[count][0] = 1, number
                count += 1
            step.logits[count - 1] = True
            last.append(count - 1)
        step.n_tokens = count
        code = ll.llama_decode(self.context, step)
        assert code == 0, f"llama_decode returned {code}"
        scores = (ll.llama_get_logits_ith(self.context, place) for place in last)
        return [int(np.ctypeslib.as_array(row, (self.vocab,)).argmax()) for row in scores]
