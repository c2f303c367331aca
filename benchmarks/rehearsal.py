"""A dress rehearsal of the guide's experiment on one workstation: real sizes, random weights, one step's data at a time.

    python benchmarks/rehearsal.py                    # Qwen2.5-Math-7B's shapes, OpenR1-Math-220k's rows; 60 GB of disk
    python benchmarks/rehearsal.py --model tiny --shards 2 --rows 40 --disk 1     # in seconds

A model of random bf16 weights in hub-like shards is fetched from a server on this machine, converted to TP2 PP1 and TP1 PP2 and back,
proven tensor by tensor, and answers; shards of the corpus maker, with the real Qwen2.5 tokenizer, are tokenized, merged and
looked at. What a step has read is removed when no later one needs it. One table: each step's time, memory of its largest
process, and the most disk until its end, beside the time that the plan of config/qwen2.5-math-7b.yaml estimates where it has such a step.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "workflow/scripts"
sys.path[:0] = [str(SCRIPTS), str(ROOT / "tests/support"), str(Path(__file__).parent)]

GB = 1e9
MODELS = {
    "7b": {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
           "num_key_value_heads": 4, "vocab_size": 152064, "max_position_embeddings": 4096, "rope_theta": 10000},
    "tiny": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "vocab_size": 152064, "max_position_embeddings": 512, "rope_theta": 10000},
}  # fmt: skip
ROWS, SHARDS = 93_733, 10  # OpenR1-Math-220k's default configuration
MAP = json.dumps(
    {
        "messages": "messages",
        "tags": {f"{name}_tag": name for name in ("role", "content", "user", "assistant", "system")},
    }
)


@dataclass(frozen=True)
class Row:
    """What a step took: seconds of wall and CPU, GB of its largest process, GB of disk in use at most until its end."""

    step: str
    seconds: float
    cpu: float
    memory: float
    disk: float
    planned: float | None  # seconds


class Rehearsal:
    """Runs steps in a folder and keeps their rows."""

    def __init__(self, folder: Path, planned: dict[str, float]):
        self.folder, self.planned, self.rows = folder, planned, []
        self._most, self._stop = 0.0, threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._stop.wait(1.0):
            self._most = max(self._most, used(self.folder))

    def run(self, step: str, script: str, *words: object, plan: str = "") -> None:
        """Run a command of the project as a step; `plan` names the plan's own.

        Raises:
            SystemExit: the command failed; its last lines are shown.
        """
        line = [sys.executable, str(SCRIPTS / script), *map(str, words)]
        print("+", *line[1:], flush=True)
        began = time.perf_counter()
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(line, stdout=said, stderr=said, cwd=self.folder)
            _, status, usage = os.wait4(process.pid, 0)
            if status:
                said.seek(0)
                raise SystemExit(f"{step} failed\n{said.read().decode(errors='replace')[-3000:]}")
        self._most = max(self._most, used(self.folder))
        row = Row(
            step,
            time.perf_counter() - began,
            usage.ru_utime + usage.ru_stime,
            usage.ru_maxrss * 1024 / GB,
            self._most / GB,
            self.planned.get(plan),
        )
        self.rows.append(row)
        print(_line(row), flush=True)

    def drop(self, *names: str) -> None:
        """Remove what no later step reads."""
        for name in names:
            shutil.rmtree(self.folder / name)

    def end(self) -> None:
        """Stop looking at the disk."""
        self._stop.set()


def used(folder: Path) -> int:
    """Bytes of all files below a folder; those that go meanwhile count nothing."""
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(base, name)).st_size
            except OSError:
                continue
    return total


def planned() -> dict[str, float]:
    """{step: seconds} of the plan of config/qwen2.5-math-7b.yaml."""
    from distillery import config
    from distillery.planning import estimate
    from distillery.planning.experiment_setup import gather

    read = config.read(ROOT / "config/qwen2.5-math-7b.yaml")
    (name,) = read.experiments
    steps = estimate.of(gather(read, name)).steps
    return {step.name: step.seconds for step in steps if step.seconds is not None}


def model(run: Rehearsal, sizes: dict[str, int]) -> None:
    """Make a model as a hub holds it, and fetch it from a server on this machine."""
    import bench_convert
    import qwen

    bench_convert.make(run.folder / "hub", sizes)
    for path in qwen.directory().glob("*.json"):
        shutil.copy(path, run.folder / "hub" / path.name)
    handler = partial(SimpleHTTPRequestHandler, directory=str(run.folder / "hub"))
    handler.log_message = lambda *_: None
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/{{name}}"
        names = sorted(path.name for path in (run.folder / "hub").iterdir())
        words = ("--host", "url", "--repo", "rehearsal", "--repo-type", "model", "--url", address)
        run.run("lock", "fetch_lock.py", *words, "--files", *names, "--output", "lock.json")
        run.run("fetch", "fetch_model.py", "--lock", "lock.json", "--output-dir", "hf", plan="fetch model")
        server.shutdown()
    run.drop("hub")


def convert(run: Rehearsal, tensor: int, stages: int) -> None:
    """To MCore in a layout, the proof of it, and back."""
    layout, common = f"TP{tensor} PP{stages}", ("--use-mcore-models", "--model-type", "GPT")
    sizes = ("--target-tensor-parallel-size", tensor, "--target-pipeline-parallel-size", stages)
    way = ("--load-model-type", "hf", "--save-model-type", "mg", "--load-dir", "hf", "--save-dir", "mcore")
    run.run(f"to {layout}", "convert_ckpt.py", *common, *way, *sizes, plan="convert")
    both = ("--hf-dir", "hf", "--mcore-dir", "mcore", "--output", "proof.json")
    run.run(f"prove {layout}", "convert_verify.py", *both, plan="prove conversion")
    way = ("--load-model-type", "mg", "--save-model-type", "hf", "--load-dir", "mcore", "--save-dir", "back")
    run.run(f"from {layout}", "convert_ckpt.py", *common, *way, "--hf-cfg-dir", "hf", plan="export")
    run.run(f"prove {layout} back", "convert_verify.py", "--hf-dir", "back", "--mcore-dir", "mcore")
    run.drop("mcore", "back")


def answer(run: Rehearsal, problems: int, tokens: int) -> None:
    """Answers of the engine from the bf16 weights as they were fetched."""
    lines = (json.dumps({"prompt": f"What is {n} + {n}?"}) for n in range(1, problems + 1))
    (run.folder / "questions.jsonl").write_text("".join(f"{line}\n" for line in lines))
    words = ("--load", "hf", "--tokenizer-name-or-path", "hf", "--prompt-file", "questions.jsonl")
    words += ("--prompt-type", "qwen_math_r1", "--task", "greedy", "--max-new-tokens", tokens)
    words += ("--micro-batch-size", problems, "--seq-length", 256, "--output", "answers.jsonl")
    run.run(f"{problems} answers of {tokens} tokens", "inference.py", *words)


def data(run: Rehearsal, shards: int, rows: int) -> None:
    """Shard after shard, made and tokenized; then all of them merged, and looked at."""
    import corpus

    prefixes, made = [], []
    for number, count in enumerate(_shares(rows, shards)):
        (shard,) = corpus.make(run.folder / "raw", 1, count, 7 + number)
        made.append(shard.rename(run.folder / f"shard-{number:05d}.parquet"))
        prefixes.append(f"tokens/shard-{number:05d}")
        (run.folder / "tokens").mkdir(exist_ok=True)
        words = ("--input", made[-1], "--tokenizer-name-or-path", "hf", "--output-prefix", prefixes[-1])
        words += ("--workers", 2, "--handler-name", "SharegptStyleInstructionHandler", "--map-keys", MAP)
        run.run(
            f"tokenize {number + 1} of {shards}",
            "preprocess_data.py",
            *words,
            "--prompt-type",
            "qwen_math_r1",
        )
        run.drop("raw")
    merged = ("--input-prefixes", *prefixes, "--output-prefix", "merged/openr1")
    (run.folder / "merged").mkdir()
    run.run("merge", "tokenize_merge.py", *merged, plan="merge")
    run.drop("tokens")
    card = ("--data-prefix", "merged/openr1", "--input", *made, "--seq-length", 4096, "--output", "card.json")
    run.run("quality", "tokenize_quality.py", *card, plan="quality")


def _shares(rows: int, shards: int) -> Iterator[int]:
    for number in range(shards):
        yield rows * (number + 1) // shards - rows * number // shards


def _line(row: Row) -> str:
    wanted = "" if row.planned is None else f"{row.planned:.0f}"
    return (
        f"| {row.step} | {row.seconds:.1f} | {row.cpu:.1f} | {row.memory:.2f} | {row.disk:.1f} | {wanted} |"
    )


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", choices=MODELS, default="7b")
    p.add_argument("--shards", type=int, default=SHARDS)
    p.add_argument("--rows", type=int, default=ROWS, help="of all shards together")
    p.add_argument("--problems", type=int, default=4)
    p.add_argument("--tokens", type=int, default=16)
    p.add_argument(
        "--disk", type=float, default=60, metavar="GB", help="free disk below which nothing begins"
    )
    p.add_argument("--directory", type=Path, help="where the temporary folder is made (default: TMPDIR)")
    args = p.parse_args()
    with tempfile.TemporaryDirectory(dir=args.directory, prefix="rehearsal-") as name:
        free = shutil.disk_usage(name).free / GB
        if free < args.disk:
            raise SystemExit(
                f"{Path(name).parent}: {free:.0f} GB free, wanted {args.disk:g} GB; free some, or name another --directory"
            )
        run = Rehearsal(Path(name), planned())
        model(run, MODELS[args.model])
        for tensor, stages in ((2, 1), (1, 2)):
            convert(run, tensor, stages)
        answer(run, args.problems, args.tokens)
        data(run, args.shards, args.rows)
        run.end()
    print("\n| step | wall s | CPU s | largest process GB | disk GB | planned s |\n|---|---|---|---|---|---|")
    print("\n".join(_line(row) for row in run.rows))


if __name__ == "__main__":
    main()
