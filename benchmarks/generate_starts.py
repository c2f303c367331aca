"""How long inference.py takes until it can answer, for bench_generate.py."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def starts(model: Path, threads: int) -> dict[str, list[dict[str, float]]]:
    """By kernels, what two runs of inference.py take until they can answer.

    The first has nothing in the caches of libraries and graphs, the second what the first left there.
    """
    found: dict[str, list[dict[str, float]]] = {}
    line = [
        sys.executable,
        ROOT / "workflow/scripts/inference.py",
        "--load",
        model,
        "--prompt-type",
        "chatml",
    ]
    line += ["--task", "greedy", "--max-new-tokens", 1, "--threads", threads]
    with tempfile.TemporaryDirectory() as folder:
        for kernels in ("native", "composed"):
            output = Path(folder) / f"{kernels}.jsonl"
            words = list(map(str, [*line, "--kernels", kernels, "--output", output]))
            environment = {**os.environ, "XDG_CACHE_HOME": str(Path(folder) / kernels)}
            for _ in range(2):
                subprocess.run(words, env=environment, check=True, capture_output=True)
                times = json.loads(output.with_suffix(".timings.json").read_text())
                kept = {key: times[key] for key in ("load_seconds", "cpu_seconds")}
                found.setdefault(kernels, []).append(kept)
    return found
