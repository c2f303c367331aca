"""Convert a checkpoint to TP2 and back, against `cp -r` and fsync of the same bytes: wall, CPU, anonymous memory.

    python benchmarks/bench_convert.py                  # 1.26 GB: Qwen2.5-0.5B's shapes with an untied head
    python benchmarks/bench_convert.py --model 4gb      # 4.04 GB: Qwen2.5-Math-7B's shapes, 4 of 28 layers
    python benchmarks/bench_convert.py --cold --json    # sources evicted from the page cache before each run

Runs alternate in the same process tree; `ratio` is cp's median wall time over ours, both directions together.
Weights are random and made in a temporary directory (3 to 4 times the model's size is needed there).
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import ml_dtypes
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from distillery import model_config  # noqa: E402
from distillery.convert import shards, tensor_map  # noqa: E402
from distillery.convert.dtypes import BF16  # noqa: E402

MODELS = {
    "1.26gb": {
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
    },
    "4gb": {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 4,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
    },
}


def make(directory: Path, sizes: dict[str, int]) -> int:
    """A Hugging Face directory with random bf16 weights; returns bytes of all its tensors."""
    directory.mkdir()
    config = {"model_type": "qwen2", "tie_word_embeddings": False, "torch_dtype": "bfloat16", **sizes}
    (directory / "config.json").write_text(json.dumps(config))
    noise = np.random.default_rng(0).standard_normal(1 << 24, np.float32).astype(ml_dtypes.bfloat16).tobytes()
    total = 0
    for shard in shards.plan(tensor_map.shapes(model_config.read(directory)), BF16):
        with (directory / shard.name).open("wb") as stream:
            stream.write(shard.prelude)
            left = shard.size - len(shard.prelude)
            total += left
            while left:  # an odd step, so that no two tensors are equal
                left -= stream.write(noise[: min(left, len(noise) - 14)])
    return total


def command(source: Path, target: Path, back: Path | None = None) -> list[str]:
    words = [sys.executable, str(ROOT / "workflow/scripts/convert_ckpt.py"), "--use-mcore-models"]
    words += ["--load-dir", str(source), "--save-dir", str(target)]
    if back:
        return [*words, "--load-model-type", "mg", "--save-model-type", "hf", "--hf-cfg-dir", str(back)]
    return [
        *words,
        "--load-model-type",
        "hf",
        "--save-model-type",
        "mg",
        "--target-tensor-parallel-size",
        "2",
    ]


def copy(source: Path, target: Path) -> list[str]:
    return ["sh", "-c", f"cp -r '{source}' '{target}' && find '{target}' -type f -exec sync {{}} +"]


def ready(source: Path, cold: bool) -> None:
    """Have nothing left to be written, and a folder's files out of the page cache, or in it."""
    os.sync()
    for path in source.rglob("*"):
        if path.is_file():
            fd = os.open(path, os.O_RDONLY)
            if cold:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            else:
                while os.read(fd, 1 << 24):
                    pass
            os.close(fd)


def run(words: list[str], source: Path, target: Path, cold: bool) -> tuple[float, float]:
    """(wall, CPU) seconds of one run, its output removed before."""
    shutil.rmtree(target, ignore_errors=True)
    ready(source, cold)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def anonymous(words: list[str], target: Path) -> float:
    """Peak anonymous memory in MB, sampled in a run of its own."""
    shutil.rmtree(target, ignore_errors=True)
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0

    def sample() -> None:
        nonlocal peak
        while process.poll() is None:
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
            except (ProcessLookupError, FileNotFoundError):  # it has ended
                return
            peak = max(
                peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")), 0
            )
            time.sleep(0.005)

    thread = threading.Thread(target=sample)
    thread.start()
    process.wait()
    thread.join()
    return peak / 1024


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", choices=MODELS, default="1.26gb")
    p.add_argument("--cold", action="store_true", help="evict sources from the page cache before each run")
    p.add_argument("--repeats", type=int, default=5, metavar="N")
    p.add_argument("--directory", type=Path, help="where the temporary directory is made (default: TMPDIR)")
    p.add_argument("--json", action="store_true")
    args = p.parse_args()
    with tempfile.TemporaryDirectory(dir=args.directory) as name:
        folder = Path(name)
        size = make(folder / "hf", MODELS[args.model])
        subprocess.run(command(folder / "hf", folder / "mg"), check=True, capture_output=True)
        cases = {
            "hf to mcore tp2": (command(folder / "hf", folder / "out"), folder / "hf", folder / "out"),
            "cp -r, fsync (hf)": (copy(folder / "hf", folder / "copy"), folder / "hf", folder / "copy"),
            "mcore tp2 to hf": (
                command(folder / "mg", folder / "out", folder / "hf"),
                folder / "mg",
                folder / "out",
            ),
            "cp -r, fsync (mcore)": (copy(folder / "mg", folder / "copy"), folder / "mg", folder / "copy"),
        }
        times: dict[str, list[tuple[float, float]]] = {case: [] for case in cases}
        for _ in range(args.repeats):
            for case, (words, source, target) in cases.items():
                times[case].append(run(words, source, target, args.cold))
                shutil.rmtree(target)
        rows = {}
        for case, (words, _, target) in cases.items():
            rows[case] = {
                "wall_s": round(statistics.median(wall for wall, _ in times[case]), 3),
                "cpu_s": round(statistics.median(cpu for _, cpu in times[case]), 3),
                "anonymous_mb": round(anonymous(words, target), 1) if not case.startswith("cp") else 0.0,
                "all_wall_s": [round(wall, 3) for wall, _ in times[case]],
            }
            shutil.rmtree(target, ignore_errors=True)
    ours, peer = list(rows.values())[::2], list(rows.values())[1::2]
    ratio = sum(row["wall_s"] for row in peer) / sum(row["wall_s"] for row in ours)
    result = {"peer": "cp -r and fsync", "model": args.model, "bytes": size, "cold": args.cold}
    result |= {"repeats": args.repeats, "ratio": round(ratio, 3), "runs": rows}
    if args.json:
        print(json.dumps(result, indent=2))
        return
    print(
        f"{size:,} bytes of weights, {'cold' if args.cold else 'warm'}, median of {args.repeats} alternating runs"
    )
    print(f"{'':24}{'wall s':>8}{'CPU s':>8}{'anonymous MB':>14}")
    for case, row in rows.items():
        print(f"{case:24}{row['wall_s']:8.2f}{row['cpu_s']:8.2f}{row['anonymous_mb']:14.1f}")
    print(f"ratio {ratio:.2f} (cp's wall time over ours; above 1 is faster than cp)")


if __name__ == "__main__":
    main()
