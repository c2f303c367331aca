"""A tiny model with tokenized data, made by the project's own commands, and how to train on them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import forked
import ml_dtypes
import numpy as np
from commands import here
from places import SCRIPTS

from distillery.convert import states, weight_sources

CONFIG = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "tie_word_embeddings": True,
}
TAGS = {f"{name}_tag": name for name in ("role", "content", "user", "assistant", "system")}
MAP = json.dumps({"messages": "messages", "tags": TAGS})


def command(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(SCRIPTS / name), *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def make(directory: Path, **config: object) -> Path:
    """hf/, mcore/ (fp32), mcore-bf16/ and tok/data_* from 96 rows, below `directory`; `config` replaces CONFIG's keys."""
    shard = directory / "shards" / "train-00000-of-00001.parquet"
    tok = directory / "tok"
    tok.mkdir()
    steps = [
        (
            "fetch_generated_shard.py",
            "--seed",
            0,
            "--shard",
            0,
            "--shards",
            1,
            "--rows",
            96,
            "--output",
            shard,
        ),
        (
            "fetch_generated_model.py",
            "--seed",
            1,
            "--config-json",
            json.dumps(CONFIG | config),
            "--vocab-size",
            400,
        )
        + ("--tokenizer-rows", 96, "--tokenizer-shards", shard, "--output-dir", directory / "hf"),
        ("preprocess_data.py", "--input", shard, "--tokenizer-name-or-path", directory / "hf")
        + ("--output-prefix", tok / "data", "--handler-name", "SharegptStyleInstructionHandler")
        + ("--prompt-type", "qwen_math_r1", "--map-keys", MAP),
    ]
    for step in steps:
        done = here(*step)
        assert done.returncode == 0, done.stderr
    state = states.load_state(directory / "hf")
    arch = weight_sources.open_source(directory / "hf").architecture
    for name, kind, dtype in [("mcore", "fp32", np.float32), ("mcore-bf16", "bf16", ml_dtypes.bfloat16)]:
        typed = {tensor: array.astype(dtype) for tensor, array in state.items()}
        states.save(directory / name, {(0, 0): typed}, states.make_args(arch, kind), 1)
    return directory


def flags(parts: Path, save: Path, *more: object) -> list[str]:
    """posttrain_gpt.py's flags for a run of 40 steps of 4 rows; later flags override."""
    line = ["--load", parts / "mcore", "--save", save, "--data-path", parts / "tok/data"]
    line += ["--tokenizer-name-or-path", parts / "hf", "--seq-length", 128, "--micro-batch-size", 4]
    line += [
        "--train-iters",
        40,
        "--lr",
        1e-2,
        "--lr-warmup-iters",
        2,
        "--save-interval",
        4,
        "--log-interval",
        1,
    ]
    return [str(word) for word in [*line, *more]]


def start_ranks(processes: int, directory: Path, *arguments: object) -> forked.Started:
    """`processes` of a script under msrun, their logs below `directory`; not waited for."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1] % 30000 + 20000
    numbers = ["--worker_num", processes, "--local_worker_num", processes, "--master_port", port]
    words = [*numbers, "--log_dir", directory / "logs", "--join", "True", "--cluster_time_out", 300]
    return forked.start(
        forked.MSRUN, *words, *arguments, env={**os.environ, "PYTHONUNBUFFERED": "1"}, cwd=directory
    )


def said(launch: forked.Started, directory: Path) -> str:
    """What a launch that has ended said, its ranks' logs last."""
    logs = "".join(path.read_text() for path in (directory / "logs").glob("worker_*.log"))
    return "".join(launch.communicate())[-2000:] + logs


def ranks(processes: int, directory: Path, *arguments: object) -> tuple[int, str]:
    """`processes` of a script under msrun to their end: (exit status, what was said)."""
    launch = start_ranks(processes, directory, *arguments)
    returncode = launch.wait(timeout=900)
    return returncode, said(launch, directory)


def train(parts: Path, save: Path, *more: object) -> subprocess.CompletedProcess[str]:
    return forked.run("posttrain_gpt.py", *flags(parts, save, *more))


def start(parts: Path, save: Path, *more: object) -> forked.Started:
    """As `train`, not waited for."""
    return forked.start("posttrain_gpt.py", *flags(parts, save, *more))


def steps(save: Path) -> int:
    """How many are recorded."""
    files = list((save / "work").glob("*/metrics.jsonl"))
    return files[0].read_text().count("\n") if files else 0


def wait_for(process: subprocess.Popen | forked.Started, save: Path, step: int) -> bool:
    """Until `step` is recorded; False if the process ended before."""
    while steps(save) < step:
        if process.poll() is not None:
            return False
        time.sleep(0.001)
    return True


def work(save: Path) -> Path:
    """The only work directory of a run."""
    (found,) = (save / "work").iterdir()
    return found


def forget_the_end(save: Path, last: int = 36) -> None:
    """As if the run had been killed after checkpoint `last`."""
    (save / "done.json").unlink()
    for checkpoint in work(save).glob("iter_*"):
        if int(checkpoint.name.removeprefix("iter_")) > last:
            shutil.rmtree(checkpoint)


def result(save: Path, moments: str = "optimizer.safetensors") -> tuple[str, bytes, bytes, list[tuple]]:
    """What two equal runs must share: weights' digest, weights and moments byte for byte, the loss curve."""
    done = json.loads((save / "done.json").read_text())
    rank = save / f"iter_{done['iteration']:07d}" / "mp_rank_00"
    lines = map(json.loads, (save / done["metrics"]).read_text().splitlines())
    curve = [
        (line["iteration"], line["loss"], line["lr"], line["grad_norm"]) for line in lines if "loss" in line
    ]
    weights, moments = ((rank / name).read_bytes() for name in ("model_optim_rng.pt", moments))
    return done["payload_digest"], weights, moments, curve
