"""A training step against transformers with torch on the same cores: wall, CPU and peak memory, forward to update.

    python benchmarks/bench_train.py                      # shapes A, B, C with native kernels
    python benchmarks/bench_train.py --kernels composed   # without C++
    python benchmarks/bench_train.py --shapes A --json
    python benchmarks/bench_train.py --packing            # effective tokens/s with and without packing, ours only
    python benchmarks/bench_train.py --recompute          # peak memory and CPU time with and without recomputation
    python benchmarks/bench_train.py --lora               # the same of SmolLM2-135M's shape: all weights, or adapters of rank 16

Shapes: A hidden 128, 4 layers, 8 x 256 tokens, vocabulary 4096; B hidden 256, 8 layers, 4 x 512, 8192; C hidden 96,
2 layers, 8 x 128, 511. Both sides do the same: loss of every token, gradients, clipping, AdamW, fp32.
The two live in processes of their own and take turns of --steps steps; a side's number is the median of its steps.
`ratio` is torch's median wall time over ours, the smallest of the shapes: above 1 we are faster.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

import train_sides


def serve(side: str, args: argparse.Namespace) -> None:
    """A side's process: for each line on standard input, so many steps; answers with one JSON line."""
    if side == "ours":
        run = train_sides.our_step(
            args.shapes[0], args.kernels, args.threads, args.batch, args.recompute, args.rank
        )
    else:
        run = train_sides.torch_step(args.shapes[0], args.attention, args.threads)
    done = 0
    for line in sys.stdin:
        wall, cpu = [], []
        for _ in range(int(line)):
            done += 1
            began, used = time.perf_counter(), time.process_time()
            loss = run(done)
            wall.append(time.perf_counter() - began)
            cpu.append(time.process_time() - used)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        print("@" + json.dumps({"wall": wall, "cpu": cpu, "gb": peak, "loss": loss}), flush=True)


def compare(shape: str, args: argparse.Namespace) -> dict:
    """Medians of both sides' steps, run in turns; the first turn (compilation, warm-up) does not count."""
    sides = {}
    for side in ("ours", "torch"):
        line = [sys.executable, __file__, "--side", side, "--shapes", shape, "--threads", str(args.threads)]
        line += ["--kernels", args.kernels, "--attention", args.attention]
        sides[side] = subprocess.Popen(
            line,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(args.threads)},
        )
    found = {side: {"wall": [], "cpu": [], "gb": 0.0} for side in sides}
    for turn in range(args.rounds + 1):
        for side, process in sides.items():
            process.stdin.write(f"{args.steps if turn else 3}\n")
            process.stdin.flush()
            answer = next(json.loads(line[1:]) for line in process.stdout if line.startswith("@"))
            if turn:
                found[side]["wall"] += answer["wall"]
                found[side]["cpu"] += answer["cpu"]
            found[side]["gb"], found[side]["loss"] = answer["gb"], answer["loss"]
    for process in sides.values():
        process.stdin.close()
        process.wait()
    rows = {
        side: {
            "step_ms": round(1e3 * statistics.median(one["wall"]), 2),
            "cpu_ms": round(1e3 * statistics.median(one["cpu"]), 2),
            "peak_gb": round(one["gb"], 3),
            "loss": round(one["loss"], 4),
        }
        for side, one in found.items()
    }
    rows["ratio"] = round(rows["torch"]["step_ms"] / rows["ours"]["step_ms"], 3)
    rows["cpu_ratio"] = round(rows["torch"]["cpu_ms"] / rows["ours"]["cpu_ms"], 3)
    return rows


def peaks(shape: str, cases: dict[str, list[str]], args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """CPU time of a step and peak memory of the process at a shape, by the flags of each case."""
    result = {}
    for name, flags in cases.items():
        line = [sys.executable, __file__, "--side", "ours", "--shapes", shape, "--kernels", args.kernels]
        line += ["--threads", str(args.threads), *flags]
        done = subprocess.run(line, input=f"3\n{args.steps}\n", capture_output=True, text=True, check=True)
        last = json.loads([text[1:] for text in done.stdout.splitlines() if text.startswith("@")][-1])
        result[name] = {
            "cpu_ms": round(1e3 * statistics.median(last["cpu"])),
            "peak_gb": round(last["gb"], 3),
            "loss": last["loss"],
        }
    return result


def recomputation(args: argparse.Namespace) -> dict:
    """At shape B with 4 and 16 rows, with and without it."""
    cases = {
        f"{batch} rows{', recomputed' * again}": ["--batch", str(batch), *["--recompute"] * again]
        for batch in (4, 16)
        for again in (False, True)
    }
    found = peaks("B", cases, args)
    kept, again = (found[name]["peak_gb"] for name in ("16 rows", "16 rows, recomputed"))
    return {"peer": "our own training without it", "ratio": round(kept / again, 3), **found}


def adapters(args: argparse.Namespace) -> dict:
    """Of SmolLM2-135M's shape: all weights, adapters of all targets, and those recomputed."""
    rank = ["--rank", "16"]
    cases = {"all weights": [], "LoRA": rank, "LoRA, recomputed": [*rank, "--recompute"]}
    found = peaks("SmolLM2", cases, args)
    ratio = found["all weights"]["peak_gb"] / found["LoRA"]["peak_gb"]
    return {"peer": "our own training of all weights", "ratio": round(ratio, 3), **found}


def packing(args: argparse.Namespace) -> dict:
    """Tokens per second that are not padding, and that are supervised, at shape A on rows of skewed lengths."""
    from distillery.engine import threads as engine_threads

    engine_threads.limit(args.threads)
    import numpy as np

    from distillery.engine import kernels as kernel_sets
    from distillery.engine.batches import Rows, assemble
    from distillery.engine.train_step import Step
    from distillery.tokenize.packing import best_fit

    _, _, vocab, _, _, _, batch, seq = train_sides.SHAPES["A"]
    rng = np.random.RandomState(0)
    # log-normal, median 60 tokens, a third of each row is prompt
    lengths = np.clip(np.exp(rng.normal(np.log(60), 0.7, 2000)), 8, seq - 1).astype(int)
    ids = [rng.randint(0, vocab, n).astype(np.int32) for n in lengths]
    labels = [np.where(np.arange(len(row)) < len(row) // 3, -100, row).astype(np.int32) for row in ids]
    bins = best_fit(lengths, seq - 1)
    packed = Rows(
        [np.concatenate([ids[i] for i in one]) for one in bins],
        [np.concatenate([labels[i] for i in one]) for one in bins],
        [np.concatenate([np.full(lengths[i], k + 1, np.int32) for k, i in enumerate(one)]) for one in bins],
    )
    chosen, result = kernel_sets.choose("CPU", args.kernels), {}
    for name, rows, kind in [("padded", Rows(ids, labels, ids), "none"), ("packed", packed, "neat")]:
        model = train_sides.our_model("A", chosen, rng)
        settings = train_sides.make_settings(seq, batch, kind)
        step, seen = Step(model, settings, chosen), []
        for i in range(args.rounds * args.steps + 3):
            one = assemble(
                rows,
                range(i * batch % (len(rows) - batch), i * batch % (len(rows) - batch) + batch),
                settings,
            )
            began, used = time.perf_counter(), time.process_time()
            step.run(i + 1, [one])
            seen.append((one.tokens, one.supervised, time.perf_counter() - began, time.process_time() - used))
        tokens, supervised, wall, cpu = map(sum, zip(*seen[3:], strict=True))
        result[name] = {
            "fill": round(tokens / (len(seen[3:]) * batch * seq), 3),
            "tokens_per_second": round(tokens / wall),
            "supervised_tokens_per_second": round(supervised / wall),
            "supervised_tokens_per_cpu_second": round(supervised / cpu),
        }
    ratio = (
        result["packed"]["supervised_tokens_per_cpu_second"]
        / result["padded"]["supervised_tokens_per_cpu_second"]
    )
    return {"peer": "our own unpacked training", "ratio": round(ratio, 3), **result}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--shapes", nargs="+", choices=train_sides.SHAPES, default=["A", "B", "C"])
    p.add_argument("--kernels", choices=["native", "composed"], default="native")
    p.add_argument(
        "--attention", choices=["sdpa", "eager"], default="sdpa", help="the peer's (default: its own)"
    )
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--steps", type=int, default=6, help="of a side's turn")
    p.add_argument("--packing", action="store_true")
    p.add_argument("--recompute", action="store_true")
    p.add_argument("--lora", action="store_true")
    p.add_argument("--json", action="store_true")
    p.add_argument("--rank", type=int, default=0, help=argparse.SUPPRESS)
    p.add_argument("--batch", type=int, default=0, help=argparse.SUPPRESS)
    p.add_argument("--side", choices=["ours", "torch"], help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.side:
        serve(args.side, args)
        return
    for asked, measured in ((args.packing, packing), (args.recompute, recomputation), (args.lora, adapters)):
        if asked:
            print(json.dumps(measured(args), indent=2))
            return
    rows = {shape: compare(shape, args) for shape in args.shapes}
    result = {
        "peer": f"transformers Qwen2 with torch, {args.attention} attention",
        "kernels": args.kernels,
        "threads": args.threads,
        "ratio": min(row["ratio"] for row in rows.values()),
        "shapes": rows,
    }
    if args.json:
        print(json.dumps(result, indent=2))
        return
    print(f"peer: {result['peer']}; kernels: {args.kernels}, {args.threads} threads; medians")
    print(
        f"{'shape':7}{'ours ms':>10}{'torch ms':>10}{'ratio':>8}{'ours CPU':>10}{'torch CPU':>11}{'ratio':>8}{'ours GB':>9}{'torch GB':>9}"
    )
    for shape, row in rows.items():
        ours, peer = row["ours"], row["torch"]
        print(
            f"{shape:7}{ours['step_ms']:10.1f}{peer['step_ms']:10.1f}{row['ratio']:8.2f}{ours['cpu_ms']:10.1f}"
            f"{peer['cpu_ms']:11.1f}{row['cpu_ratio']:8.2f}{ours['peak_gb']:9.2f}{peer['peak_gb']:9.2f}"
        )


if __name__ == "__main__":
    main()
