"""One side of bench_generate.py in a process of its own, under its own Python: a JSON request a line in, an answer a line out."""

import json
import subprocess
import sys
import time
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent.parent / "workflow/scripts"


def serve(side: str, model: Path, threads: int, kernels: str) -> None:
    """Answer the parent's requests until it ends.

    Args:
        side: ours, ours int8, transformers, vllm or llama.cpp.
        model: Hugging Face directory, or a GGUF file for llama.cpp.
    """
    sys.stdout = sys.stderr  # what libraries print is no answer
    start = time.perf_counter()
    if side.startswith("ours"):
        sys.path.insert(0, str(SCRIPTS))
        from generate_ours import Ours as Side
    elif side == "transformers":
        from generate_peer import Transformers as Side
    elif side == "vllm":
        from vllm_peer import Vllm as Side
    else:
        from llama_peer import LlamaCpp as Side
    worker = Side(model, threads, kernels, **({"weights": "int8"} if side == "ours int8" else {}))
    say({"load": time.perf_counter() - start})
    for line in sys.stdin:
        ask = json.loads(line)
        if ask["do"] == "bandwidth":
            say({"bandwidth": worker.bandwidth()})
            continue
        if ask["do"] == "prepare":
            say(worker.prepare(ask["batch"], ask["new"]))
            continue
        start, cpu = time.perf_counter(), time.process_time()
        tokens, first = worker.run(ask["batch"], ask["new"])
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        # not getrusage's: a process begins with its parent's
        peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
        say({"wall": wall, "cpu": cpu, "tokens": tokens, "first": first, "peak_mb": peak})


def say(value: dict) -> None:
    print(json.dumps(value), file=sys.__stdout__, flush=True)


class Worker:
    """The parent's handle of such a process.

    Args:
        side, model, threads, kernels: as of `serve`.
        python: that runs it.
    """

    def __init__(
        self, side: str, model: Path, threads: int, kernels: str, python: Path | str = sys.executable
    ):
        self.process = subprocess.Popen(
            [str(python), __file__, side, str(model), str(threads), kernels],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.load = self._answer()["load"]

    def ask(self, **request: object) -> dict:
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        assert line, f"a worker ended: {self.process.wait()}"
        return json.loads(line)


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
