"""A training step against transformers with torch on the same cores: wall, CPU and peak memory, forward to update.

    python benchmarks/bench_train.py                      # shapes A, B, C with native kernels
    python benchmarks/bench_train.py --kernels composed   # without C++
    python benchmarks/bench_train.py --shapes A --json
    python benchmarks/bench_train.py --packing            # effective tokens/s with and without packing, ours only
    python benchmarks/bench_train.py --recompute          # peak memory and CPU time with and without recomputation

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
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

SHAPES = {  # hidden, layers, vocabulary, heads, groups, ffn, batch, sequence
    "A": (128, 4, 4096, 4, 2, 384, 8, 256),
    "B": (256, 8, 8192, 8, 4, 768, 4, 512),
    "C": (96, 2, 511, 4, 2, 256, 8, 128),
}


def our_step(shape: str, kernels: str, threads: int, batch: int = 0, recompute: bool = False):
    """A function that runs step i and returns its loss; `batch` rows instead of the shape's."""
    from distillery.engine import mindspore_import
    from distillery.engine import threads as engine_threads

    engine_threads.limit(threads)
    mindspore_import.load("CPU")
    import numpy as np

    from distillery.architecture import Architecture
    from distillery.engine import kernels as kernel_sets
    from distillery.engine.batches import Rows, assemble
    from distillery.engine.decoder import Decoder, load_state
    from distillery.engine.mesh import Mesh
    from distillery.engine.pipeline_step import PipelineStep
    from distillery.engine.train_step import Step

    hidden, layers, vocab, heads, groups, ffn, rows, seq = SHAPES[shape]
    batch = batch or rows
    arch = Architecture(
        num_layers=layers,
        hidden_size=hidden,
        ffn_hidden_size=ffn,
        num_attention_heads=heads,
        num_query_groups=groups,
        kv_channels=hidden // heads,
        vocab_size=vocab,
        untie_embeddings_and_output_weights=False,
        add_qkv_bias=True,
        max_position_embeddings=seq,
    )
    chosen = kernel_sets.choose("CPU", kernels)
    model, rng = Decoder(arch, chosen), np.random.RandomState(0)
    load_state(model, {n: start(n, p.shape, rng) for n, p in model.parameters_and_names()})
    settings = make_settings(seq, batch, recompute=recompute)
    step = PipelineStep(model, settings, chosen, Mesh()) if recompute else Step(model, settings, chosen)

    def run(i: int) -> float:
        ids = list(np.random.RandomState(i).randint(0, vocab, (batch, seq)).astype(np.int32))
        return step.run(i, [assemble(Rows(ids, ids, ids), range(batch), settings)])[0]

    return run


def start(name: str, shape, rng):
    """Initial values as transformers': normal weights, unit norms, zero biases."""
    import numpy as np

    if "norm" in name:
        return np.ones(shape, np.float32)
    return (rng.randn(*shape) * (0.0 if name.endswith("bias") else 0.02)).astype(np.float32)


def make_settings(seq: int, batch: int, packing: str = "none", recompute: bool = False):
    from distillery.engine.train_settings import Schedule, Settings

    return Settings(
        seq_length=seq,
        micro_batch_size=batch,
        global_batch_size=batch,
        train_iters=10**6,
        schedule=Schedule(1e-3, 1e-3, "constant", 0, 1),
        weight_decay=0.1,
        clip_grad=1.0,
        beta1=0.9,
        beta2=0.95,
        eps=1e-8,
        seed=0,
        split=(1, 0, 0),
        packing=packing,
        eos_token_id=None,
        cut_plainly=False,
        pad_left=False,
        shuffle=False,
        per_token_loss=False,
        recompute=recompute,
    )


def torch_step(shape: str, attention: str, threads: int):
    """The peer: transformers' Qwen2, torch in eager mode."""
    import numpy as np
    import torch
    from transformers import AutoModelForCausalLM, Qwen2Config

    torch.set_num_threads(threads)
    hidden, layers, vocab, heads, groups, ffn, batch, seq = SHAPES[shape]
    config = Qwen2Config(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=ffn,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        max_position_embeddings=seq,
        tie_word_embeddings=True,
        use_cache=False,
        attn_implementation=attention,
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).float()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)

    def run(i: int) -> float:
        ids = torch.tensor(np.random.RandomState(i).randint(0, vocab, (batch, seq)))
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return run


def serve(side: str, args: argparse.Namespace) -> None:
    """A side's process: for each line on standard input, so many steps; answers with one JSON line."""
    if side == "ours":
        run = our_step(args.shapes[0], args.kernels, args.threads, args.batch, args.recompute)
    else:
        run = torch_step(args.shapes[0], args.attention, args.threads)
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


def recomputation(args: argparse.Namespace) -> dict:
    """CPU time of a step and peak memory of the process at shape B with 4 and 16 rows, with and without it."""
    result = {}
    for batch in (4, 16):
        for recompute in (False, True):
            line = [sys.executable, __file__, "--side", "ours", "--shapes", "B", "--batch", str(batch)]
            line += ["--kernels", args.kernels, "--threads", str(args.threads)] + ["--recompute"] * recompute
            done = subprocess.run(
                line, input=f"3\n{args.steps}\n", capture_output=True, text=True, check=True
            )
            last = json.loads([text[1:] for text in done.stdout.splitlines() if text.startswith("@")][-1])
            result[f"{batch} rows{', recomputed' * recompute}"] = {
                "cpu_ms": round(1e3 * statistics.median(last["cpu"])),
                "peak_gb": round(last["gb"], 3),
                "loss": last["loss"],
            }
    kept, again = (result[name]["peak_gb"] for name in ("16 rows", "16 rows, recomputed"))
    return {"peer": "our own training without it", "ratio": round(kept / again, 3), **result}


def packing(args: argparse.Namespace) -> dict:
    """Tokens per second that are not padding, and that are supervised, at shape A on rows of skewed lengths."""
    from distillery.engine import threads as engine_threads

    engine_threads.limit(args.threads)
    import numpy as np

    from distillery.architecture import Architecture
    from distillery.engine import kernels as kernel_sets
    from distillery.engine.batches import Rows, assemble
    from distillery.engine.decoder import Decoder, load_state
    from distillery.engine.train_step import Step
    from distillery.tokenize.packing import best_fit

    hidden, layers, vocab, heads, groups, ffn, batch, seq = SHAPES["A"]
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
    arch = Architecture(
        num_layers=layers,
        hidden_size=hidden,
        ffn_hidden_size=ffn,
        num_attention_heads=heads,
        num_query_groups=groups,
        kv_channels=hidden // heads,
        vocab_size=vocab,
        untie_embeddings_and_output_weights=False,
        add_qkv_bias=True,
        max_position_embeddings=seq,
    )
    chosen, result = kernel_sets.choose("CPU", args.kernels), {}
    for name, rows, kind in [("padded", Rows(ids, labels, ids), "none"), ("packed", packed, "neat")]:
        model = Decoder(arch, chosen)
        load_state(model, {n: start(n, p.shape, rng) for n, p in model.parameters_and_names()})
        settings = make_settings(seq, batch, kind)
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
    p.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    p.add_argument("--kernels", choices=["native", "composed"], default="native")
    p.add_argument(
        "--attention", choices=["sdpa", "eager"], default="sdpa", help="the peer's (default: its own)"
    )
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--steps", type=int, default=6, help="of a side's turn")
    p.add_argument("--packing", action="store_true")
    p.add_argument("--recompute", action="store_true")
    p.add_argument("--json", action="store_true")
    p.add_argument("--batch", type=int, default=0, help=argparse.SUPPRESS)
    p.add_argument("--side", choices=["ours", "torch"], help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.side:
        serve(args.side, args)
        return
    if args.packing:
        print(json.dumps(packing(args), indent=2))
        return
    if args.recompute:
        print(json.dumps(recomputation(args), indent=2))
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
