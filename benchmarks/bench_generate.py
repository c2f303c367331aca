"""Greedy answers of the real SmolLM2-135M, against transformers.generate, llama.cpp and vLLM on the same cores.

    python benchmarks/bench_generate.py                     # batches of 1, 4 and 16 prompts, 64 new tokens
    python benchmarks/bench_generate.py --json --repeats 3
    python benchmarks/bench_generate.py --peer llama.cpp    # needs tests/support/llama_cpp .venv/llama: `make bench-llama`
    python benchmarks/bench_generate.py --peer vllm         # needs tests/support/vllm_cpu .venv/vllm: `make bench-vllm`

Each side is a process that loads the model once; runs alternate, prefill included. Ours runs in float32, and again
with the weights rounded to bf16 and held as such, and with those rounded to int8. transformers computes in float32,
and its tokens must be ours. llama.cpp has the same weights in float32 and bf16, and rounded further to q8_0, vLLM in
float32 and bf16; how many of a batch's answers are ours is said, for they sum in another order, and in bf16 and q8_0
round activations too. `ratio` is the smallest, over the batches, of transformers' median wall time over ours;
`cpu_ratio` likewise for CPU seconds, which other load on the machine disturbs less; those of the other sides stand
under `peers`. llama.cpp's threads spin: beside other load both of its times say little, but for --threads 1. Load,
compilation and time to the first token are apart, and so are the first token of a prompt of 512, and what a second
start of inference.py saves by the libraries and graphs that a first one left. The limit at batch 1 is the time in
which torch can read the weights once.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from itertools import chain, cycle, islice
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "workflow/scripts"), str(ROOT / "tests/support"), str(Path(__file__).parent)]

import gguf_file  # noqa: E402
from generate_starts import starts  # noqa: E402
from generate_worker import Worker  # noqa: E402

QUESTIONS = (
    "What is the capital of France?",
    "Write a short poem about the sea and the wind.",
    "Explain in three sentences why the sky is blue, and why a sunset is red.",
    "What is 17 times 23? Think step by step and show every step of the multiplication.",
    "Name five animals that can fly, and for each of them say what it eats and where it lives.",
)
PROMPT = 512  # tokens of the long prompt
# our side beside a peer's kinds of weights, and the kinds of each peer that is asked for
AGAINST = {"f32": "ours", "bf16": "ours bf16", "q8_0": "ours int8"}
PEERS = {"llama.cpp": gguf_file.KINDS, "vllm": ("f32", "bf16")}


def prompts(model: Path, count: int) -> list[list[int]]:
    from distillery.tokenize import rendering

    renderer = rendering.load(model, "chatml")
    texts = [QUESTIONS[i % len(QUESTIONS)] + f" This is question {i}." for i in range(count)]
    return [renderer.prompt([{"role": "user", "content": text}]) for text in texts]


def started(args: argparse.Namespace, folder: Path) -> dict[str, Worker]:
    """A worker of each side by name."""
    same = (args.threads, args.kernels)
    narrow = gguf_file.rounded(args.model, folder / "bf16")
    workers = {
        "transformers": Worker("transformers", args.model, *same),
        "ours": Worker("ours", args.model, *same),
        "ours bf16": Worker("ours", narrow, *same),
        "ours int8": Worker("ours int8", narrow, *same),
    }
    for peer in args.peer:
        for kind in PEERS[peer]:
            source = narrow if kind == "bf16" else args.model
            if peer == "llama.cpp":
                source = gguf_file.write(source, folder / f"{kind}.gguf", kind)
            workers[f"{peer} {kind}"] = Worker(peer, source, *same, python=python_of(args, peer))
    return workers


def short(peer: str) -> str:
    """What a peer is called in flags, targets and folders."""
    return peer.removesuffix(".cpp")


def python_of(args: argparse.Namespace, peer: str) -> Path:
    """The Python of a peer's own environment."""
    return getattr(args, f"{short(peer)}_python")


def measure(workers: dict[str, Worker], batch: list[list[int]], new: int, repeats: int) -> dict[str, dict]:
    """Alternating runs of one batch: by side the raw numbers, their medians, and against our side the peers' ratios."""
    prepared = {side: worker.ask(do="prepare", batch=batch, new=new) for side, worker in workers.items()}
    runs: dict[str, list[dict]] = {side: [] for side in workers}
    for _ in range(repeats):
        for side, worker in workers.items():
            runs[side].append(worker.ask(do="run", batch=batch, new=new))
            wall, cpu = runs[side][-1]["wall"], runs[side][-1]["cpu"]
            print(f"batch {len(batch)} {side}: {wall:.2f} s, CPU {cpu:.2f} s", file=sys.stderr, flush=True)
    assert runs["ours"][0]["tokens"] == runs["transformers"][0]["tokens"], "the answers differ"
    found: dict[str, dict] = {}
    for side, each in runs.items():
        found[side] = {
            "wall": [run["wall"] for run in each],
            "cpu": [run["cpu"] for run in each],
            "median_wall": statistics.median(run["wall"] for run in each),
            "median_cpu": statistics.median(run["cpu"] for run in each),
            "first_token": statistics.median(run["first"] for run in each),
            "prepare": prepared[side],
            "peak_mb": each[-1]["peak_mb"],
        }
        found[side]["tokens_per_second"] = len(batch) * new / found[side]["median_wall"]
    for side, peer in found.items():
        if not side.startswith("ours"):
            ours = AGAINST.get(side.split()[-1], "ours")
            for kind in ("wall", "cpu"):
                peer[f"{kind}_ratio"] = peer[f"median_{kind}"] / found[ours][f"median_{kind}"]
            both = zip(runs[side][0]["tokens"], runs[ours][0]["tokens"], strict=True)
            peer |= {"against": ours, "equal_answers": sum(one == other for one, other in both)}
    return found


def table(found: dict) -> None:
    names = f"{'batch':>5} {'side':>14} {'tok/s':>7} {'wall s':>7} {'CPU s':>6} {'first s':>8} {'MB':>6}"
    print(f"{names} {'ratio':>6} {'CPU':>6} equal")
    peers = found["peers"]
    for i, row in enumerate([*found["batches"], found["prompt"]]):
        own = {side: one for side, one in row.items() if isinstance(one, dict)}
        others = {side: [*peer["batches"], peer["prompt"]][i] for side, peer in peers.items()}
        for side, one in (own | others).items():
            line = f"{row['batch']:5} {side:>14} {one['tokens_per_second']:7.1f} {one['median_wall']:7.3f} "
            line += f"{one['median_cpu']:6.2f} {one['first_token']:8.3f} {one['peak_mb']:6.0f}"
            if "against" in one:
                line += f" {one['wall_ratio']:6.2f} {one['cpu_ratio']:6.2f} {one['equal_answers']}, {one['against']}"
            print(line)
    print(f"the last rows: the first token of a prompt of {found['prompt']['prompt_tokens']}")
    ready = found["prepare_seconds"]
    print(
        f"load {found['load_seconds']['transformers']:.1f} s and {found['load_seconds']['ours']:.1f} s; of ours packing "
        f"{ready['pack']:.1f} s, graphs {ready['compile']:.1f} s, first steps {ready['warm_up']:.1f} s"
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


def compared(args: argparse.Namespace, workers: dict[str, Worker]) -> dict:
    """All measurements: our sides' and transformers' by batch, other peers' under their names."""
    bandwidth = workers["transformers"].ask(do="bandwidth")["bandwidth"]
    sizes = sorted(args.batches)
    asked = {size: prompts(args.model, size) for size in sizes}
    measured = {size: measure(workers, asked[size], args.new_tokens, args.repeats) for size in sizes[::-1]}
    ids = list(islice(cycle(chain.from_iterable(prompts(args.model, len(QUESTIONS)))), PROMPT))
    long = measure(workers, [ids], 1, args.repeats)
    own = [side for side in workers if side.split()[0] not in PEERS]

    def row(sides: dict[str, dict], **more: int) -> dict:
        ratios = {f"{kind}_ratio": sides["transformers"][f"{kind}_ratio"] for kind in ("wall", "cpu")}
        return {**more, **{side: sides[side] for side in own}, **ratios}

    rows = [row(measured[size], batch=size, new_tokens=args.new_tokens) for size in sizes]
    size = sum(path.stat().st_size for path in args.model.glob("*.safetensors"))
    return {
        "ratio": min(one["wall_ratio"] for one in rows),
        "cpu_ratio": min(one["cpu_ratio"] for one in rows),
        "threads": args.threads,
        "batches": rows,
        "prompt": row(long, batch=1, new_tokens=1, prompt_tokens=PROMPT),
        "peers": {
            side: {
                "ratio": min(measured[size][side]["wall_ratio"] for size in sizes),
                "cpu_ratio": min(measured[size][side]["cpu_ratio"] for size in sizes),
                "batches": [measured[size][side] for size in sizes],
                "prompt": long[side],
            }
            for side in workers
            if side not in own
        },
        "load_seconds": {side: worker.load for side, worker in workers.items()},
        "prepare_seconds": rows[-1]["ours"]["prepare"],
        "peak_mb": {side: one["peak_mb"] for side, one in measured[sizes[0]].items()},
        "weight_bytes": size,
        "bandwidth": bandwidth,
        "limit_ms": size / bandwidth * 1e3,
        "starts": starts(args.model, args.threads),
        "token_ms": rows[0]["ours"]["median_wall"] / args.new_tokens * 1e3,
    }


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", type=Path, help="Hugging Face directory (default: SmolLM2-135M, fetched)")
    p.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16])
    p.add_argument("--new-tokens", type=int, default=64)
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--kernels", choices=["auto", "native", "composed"], default="auto", help="of our side")
    p.add_argument("--peer", choices=PEERS, nargs="+", default=[], help="beside transformers")
    for name in map(short, PEERS):
        own = ROOT / f".venv/{name}/bin/python"
        p.add_argument(f"--{name}-python", type=Path, default=own, help="of the peer's own environment")
    p.add_argument("--json", action="store_true")
    args = p.parse_args()
    for peer in args.peer:
        if not python_of(args, peer).exists():
            made = f"`make bench-{short(peer)}` makes it, or --{short(peer)}-python names another"
            p.error(f"{python_of(args, peer)}: no such Python; {made}")
    if args.model is None:
        from generate_models import real_smollm2

        args.model = real_smollm2()
    with tempfile.TemporaryDirectory() as folder:
        found = compared(args, started(args, Path(folder)))
    print(json.dumps(found)) if args.json else table(found)


if __name__ == "__main__":
    main()
