"""What a mix costs training: CPU seconds of the same rows as two datasets, over those as one.

    python benchmarks/bench_mix.py
    python benchmarks/bench_mix.py --rows 400 --rounds 5 --json

Both sides are posttrain_gpt.py from its start to its last checkpoint, one epoch of all rows, in turns: on two datasets with
`--data-path 0.5 a 0.5 b`, and on what tokenize_merge.py made of the two. `ratio` is the single dataset's CPU seconds over the
mix's, medians of all rounds: about 1 where a mix costs nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "workflow" / "scripts"
MODEL = {
    "hidden_size": 96,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "tie_word_embeddings": True,
}
LENGTH, BATCH = 128, 8
TAGS = {f"{name}_tag": name for name in ("role", "content", "user", "assistant", "system")}


def command(name: str, *flags: object) -> float:
    """CPU seconds of a command of the workflow.

    Raises:
        SystemExit: it failed; what it said is the message.
    """
    line = [sys.executable, str(SCRIPTS / name), *map(str, flags)]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(line)} failed:\n{said}")
    return usage.ru_utime + usage.ru_stime


def made(folder: Path, rows: int) -> dict[str, list[object]]:
    """The words after --data-path of each side; model/ and mcore/ lie beside the data."""
    shards = [folder / f"shards/train-{number:05d}-of-00002.parquet" for number in range(2)]
    for number, path in enumerate(shards):
        flags = ["--seed", 0, "--shard", number, "--shards", 2, "--rows", rows // 2]
        command("fetch_generated_shard.py", *flags, "--output", path)
    flags = [
        "--seed",
        1,
        "--config-json",
        json.dumps(MODEL),
        "--vocab-size",
        511,
        "--tokenizer-rows",
        rows // 2,
    ]
    command(
        "fetch_generated_model.py", *flags, "--tokenizer-shards", shards[0], "--output-dir", folder / "model"
    )
    flags = ["--use-mcore-models", "--load-model-type", "hf", "--save-model-type", "mg"]
    flags += ["--load-dir", folder / "model", "--save-dir", folder / "mcore"]
    command("convert_ckpt.py", *flags)
    (folder / "tok").mkdir()
    prefixes = [folder / "tok" / name for name in "ab"]
    for path, prefix in zip(shards, prefixes, strict=True):
        flags = ["--input", path, "--tokenizer-name-or-path", folder / "model", "--output-prefix", prefix]
        flags += ["--handler-name", "SharegptStyleInstructionHandler", "--prompt-type", "qwen_math_r1"]
        command(
            "preprocess_data.py", *flags, "--map-keys", json.dumps({"messages": "messages", "tags": TAGS})
        )
    both = folder / "tok" / "both"
    command("tokenize_merge.py", "--input-prefixes", *prefixes, "--output-prefix", both)
    return {"one dataset": [both], "a mix of two": [0.5, prefixes[0], 0.5, prefixes[1]]}


def trained(folder: Path, data: list[object], save: Path, rows: int) -> float:
    """CPU seconds of one epoch."""
    flags = ["--load", folder / "mcore", "--save", save, "--tokenizer-name-or-path", folder / "model"]
    flags += ["--seq-length", LENGTH, "--micro-batch-size", BATCH, "--global-batch-size", BATCH]
    flags += ["--train-iters", rows // BATCH, "--lr", "1e-3", "--save-interval", rows // BATCH, "--seed", 1]
    return command("posttrain_gpt.py", *flags, "--data-path", *data)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rows", type=int, default=1600, help=f"of both datasets, a multiple of {2 * BATCH}")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--json", action="store_true")
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sides = made(folder, args.rows)
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        for number in range(args.rounds + 1):
            for side, data in sides.items():
                used = trained(folder, data, folder / f"{side}-{number}", args.rows)
                if number:  # the first compiles kernels and byte code
                    seconds[side].append(round(used, 2))
    single, mixed = (statistics.median(found) for found in seconds.values())
    result = {"peer": "the same rows as one dataset", "ratio": round(single / mixed, 3)}
    result |= {"steps": args.rows // BATCH, "cpu_s": seconds}
    if args.json:
        print(json.dumps(result, indent=2))
        return
    for side, found in seconds.items():
        print(f"{side:14}{statistics.median(found):7.2f} CPU s for {result['steps']} steps, of {found}")
    print(f"ratio {result['ratio']} (one dataset's over the mix's; about 1: a mix costs nothing)")


if __name__ == "__main__":
    main()
