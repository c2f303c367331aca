"""Greedy answers of the real SmolLM2-135M, against transformers.generate with torch in float32 on the same cores.

    python benchmarks/bench_generate.py                     # batches of 1, 4 and 16 prompts, 64 new tokens
    python benchmarks/bench_generate.py --json --repeats 3

Each side is a process that loads the model once; runs alternate, prefill included. The tokens must be equal.
`ratio` is the smallest, over the batches, of transformers' median wall time over ours; `cpu_ratio` likewise for
CPU seconds, which other load on the machine disturbs less. Load, compilation and time to the first token are
apart, and so is what a second start of inference.py saves by the libraries and graphs that a first one left. The limit at batch 1 is the time in which torch can read the weights once.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "workflow/scripts"), str(ROOT / "tests/support"), str(Path(__file__).parent)]

from generate_peer import Transformers  # noqa: E402
from generate_starts import starts  # noqa: E402

QUESTIONS = (
    "What is the capital of France?",
    "Write a short poem about the sea and the wind.",
    "Explain in three sentences why the sky is blue, and why a sunset is red.",
    "What is 17 times 23? Think step by step and show every step of the multiplication.",
    "Name five animals that can fly, and for each of them say what it eats and where it lives.",
)


def prompts(model: Path, count: int) -> list[list[int]]:
    from distillery.tokenize import rendering

    renderer = rendering.load(model, "chatml")
    texts = [QUESTIONS[i % len(QUESTIONS)] + f" This is question {i}." for i in range(count)]
    return [renderer.prompt([{"role": "user", "content": text}]) for text in texts]


class Ours:
    """Our engine, with one runner at a time."""

    def __init__(self, model: Path, threads: int, kernels: str):
        from distillery.engine import threads as engine_threads

        engine_threads.limit(threads)
        os.environ["GLOG_v"] = "3"  # noqa: SIM112, MindSpore's name for it
        from distillery import model_config
        from distillery.convert import states
        from distillery.engine import runner_choice

        self.build = lambda slots, length: runner_choice.build(
            model_config.read(model), states.load_state(model), slots, length, kernels=kernels
        )
        self.runner = None

    def prepare(self, batch: list[list[int]], new: int) -> dict[str, float]:
        """Native layers serve any batch up to the largest, which comes first, with one runner.

        Returns seconds of packing the weights, and of the graphs: what the first steps take longer than the same again.
        """
        start = time.perf_counter()
        if (
            self.runner is None
            or self.runner.slots != len(batch)
            and type(self.runner).__name__ != "NativeDecoder"
        ):
            self.runner = self.build(len(batch), max(map(len, batch)) + new)
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
        return [list(row.tokens) for row in rows], steps[1] - begin


def serve(side: str, model: Path, threads: int, kernels: str) -> None:
    """A worker: one JSON request a line in, one JSON answer a line out."""
    start = time.perf_counter()
    worker = {"ours": Ours, "transformers": Transformers}[side](model, threads, kernels)
    say({"load": time.perf_counter() - start})
    for line in sys.stdin:
        ask = json.loads(line)
        if ask["do"] == "bandwidth":
            say({"bandwidth": worker.bandwidth()})
            continue
        batch = prompts(model, ask["batch"])
        if ask["do"] == "prepare":
            say(worker.prepare(batch, ask["new"]))
            continue
        start, cpu = time.perf_counter(), time.process_time()
        tokens, first = worker.run(batch, ask["new"])
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        say({"wall": wall, "cpu": cpu, "tokens": tokens, "first": first, "peak_mb": peak})


def say(value: dict) -> None:
    print(json.dumps(value), file=sys.__stdout__, flush=True)


class Worker:
    def __init__(self, side: str, model: Path, threads: int, kernels: str):
        words = [sys.executable, __file__, "--side", side, "--model", str(model), "--threads", str(threads)]
        self.process = subprocess.Popen(
            [*words, "--kernels", kernels],
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


def measure(workers: dict[str, Worker], batch: int, new: int, repeats: int) -> dict:
    """Alternating runs of one batch size: medians, and both sides' raw numbers."""
    prepared = {side: worker.ask(do="prepare", batch=batch, new=new) for side, worker in workers.items()}
    runs: dict[str, list[dict]] = {side: [] for side in workers}
    for _ in range(repeats):
        for side, worker in workers.items():
            runs[side].append(worker.ask(do="run", batch=batch, new=new))
            wall, cpu = runs[side][-1]["wall"], runs[side][-1]["cpu"]
            print(f"batch {batch} {side}: {wall:.2f} s, CPU {cpu:.2f} s", file=sys.stderr, flush=True)
    assert runs["ours"][0]["tokens"] == runs["transformers"][0]["tokens"], "the answers differ"
    result: dict = {"batch": batch, "new_tokens": new}
    for side, each in runs.items():
        result[side] = {
            "wall": [run["wall"] for run in each],
            "cpu": [run["cpu"] for run in each],
            "median_wall": statistics.median(run["wall"] for run in each),
            "median_cpu": statistics.median(run["cpu"] for run in each),
            "first_token": statistics.median(run["first"] for run in each),
            "prepare": prepared[side],
            "peak_mb": each[-1]["peak_mb"],
        }
        result[side]["tokens_per_second"] = batch * new / result[side]["median_wall"]
    for kind in ("wall", "cpu"):
        both = [result[side][f"median_{kind}"] for side in ("transformers", "ours")]
        result[f"{kind}_ratio"] = both[0] / both[1]
    return result


def table(found: dict) -> None:
    print(
        f"{'batch':>5} {'side':>13} {'tok/s':>7} {'wall s':>7} {'CPU s':>6} {'first s':>8} {'ratio':>6} {'CPU':>6}"
    )
    for row in found["batches"]:
        for side in ("transformers", "ours"):
            one = row[side]
            ratios = f"{row['wall_ratio']:6.2f} {row['cpu_ratio']:6.2f}" if side == "ours" else ""
            print(
                f"{row['batch']:5} {side:>13} {one['tokens_per_second']:7.1f} {one['median_wall']:7.2f} "
                f"{one['median_cpu']:6.2f} {one['first_token']:8.3f} {ratios}"
            )
    ready = found["prepare_seconds"]
    print(
        f"load {found['load_seconds']['transformers']:.1f} s and {found['load_seconds']['ours']:.1f} s; of ours packing "
        f"{ready['pack']:.1f} s, graphs {ready['compile']:.1f} s, first steps {ready['warm_up']:.1f} s; peak {found['peak_mb']['transformers']:.0f} "
        f"and {found['peak_mb']['ours']:.0f} MB"
    )
    for kernels, runs in found["starts"].items():
        first, second = (run["load_seconds"] for run in runs)
        print(
            f"inference.py, {kernels}: first start loads and compiles {first:.1f} s, the next {second:.1f} s"
        )
    print(
        f"limit at batch 1: {found['weight_bytes'] / 1e6:.0f} MB of weights at {found['bandwidth'] / 1e9:.1f} GB/s = "
        f"{found['limit_ms']:.1f} ms a token; ours {found['token_ms']:.1f} ms"
    )


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", type=Path, help="Hugging Face directory (default: SmolLM2-135M, fetched)")
    p.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16])
    p.add_argument("--new-tokens", type=int, default=64)
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--kernels", choices=["auto", "native", "composed"], default="auto", help="of our side")
    p.add_argument("--json", action="store_true")
    p.add_argument("--side", choices=["ours", "transformers"], help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.side:
        serve(args.side, args.model, args.threads, args.kernels)
        return
    if args.model is None:
        from generate_models import real_smollm2

        args.model = real_smollm2()
    sides = ("transformers", "ours")
    workers = {side: Worker(side, args.model, args.threads, args.kernels) for side in sides}
    bandwidth = workers["transformers"].ask(do="bandwidth")["bandwidth"]
    batches = sorted(args.batches, reverse=True)
    rows = [measure(workers, batch, args.new_tokens, args.repeats) for batch in batches][::-1]
    size = sum(path.stat().st_size for path in args.model.glob("*.safetensors"))
    smallest = rows[0]["ours"]
    found = {
        "ratio": min(row["wall_ratio"] for row in rows),
        "cpu_ratio": min(row["cpu_ratio"] for row in rows),
        "threads": args.threads,
        "batches": rows,
        "load_seconds": {side: workers[side].load for side in sides},
        "prepare_seconds": rows[-1]["ours"]["prepare"],
        "peak_mb": {side: rows[0][side]["peak_mb"] for side in sides},
        "weight_bytes": size,
        "bandwidth": bandwidth,
        "limit_ms": size / bandwidth * 1e3,
        "starts": starts(args.model, args.threads),
        "token_ms": smallest["median_wall"] / args.new_tokens * 1e3,
    }
    print(json.dumps(found)) if args.json else table(found)


if __name__ == "__main__":
    main()
