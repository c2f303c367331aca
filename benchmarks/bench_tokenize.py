"""CPU seconds and memory to tokenize a shard, against the plain ways of doing it.

    python benchmarks/bench_tokenize.py [--rows 2000] [--rounds 3] [--json]

All sides turn the same shard (2000 rows, about 12 M tokens) into the same six files, start-up included, each in a
process of its own, one after the other, round by round:

    distillery           preprocess_data.py --workers 1
    distillery, 2        preprocess_data.py --workers 2
    datasets.map         load_dataset, a map with a transformers tokenizer, lists written as int32
    encode_batch_fast    `tokenizers` alone on all texts at once on one thread: no rendering, no labels, no files

With --big GB two more lines show us alone on a shard of that size, made by repetition, with one and two workers: memory
does not grow with it, and where start-up (half of a small shard's time) does not count, two take nearly half as long.
--big 0.8 is about eight such shards.

`ratio` is datasets.map's CPU seconds over ours (above 1: ours needs less).

With --formats we alone tokenize the same rows from each format, and lines of text from .txt and parquet: CPU seconds over those
from parquet, at most 1.15.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "workflow" / "scripts"), str(ROOT / "tests/support"), str(Path(__file__).parent)]

TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}
PEERS = ("datasets.map", "encode_batch_fast")  # tokenize_peers.py
OURS = ("distillery", "distillery, 2")  # workers


def ours(shard: Path, tokenizer: Path, prefix: Path, workers: int) -> list[str]:
    command = [
        ROOT / "workflow" / "scripts" / "preprocess_data.py",
        "--input",
        shard,
        "--output-prefix",
        prefix,
    ]
    command += ["--tokenizer-name-or-path", tokenizer, "--workers", workers, "--prompt-type", "qwen_math_r1"]
    command += ["--handler-name", "SharegptStyleInstructionHandler"]
    return [
        sys.executable,
        *map(str, command),
        "--map-keys",
        json.dumps({"messages": "messages", "tags": TAGS}),
    ]


def of_format(path: Path, tokenizer: Path, prefix: Path) -> list[str]:
    """Our line for a file of `format_files`, whose name says what is in it."""
    alpaca = ["--handler-name", "AlpacaStyleInstructionHandler", "--map-keys"]
    alpaca += [json.dumps({"prompt": "question", "query": None, "response": "answer"})]
    plain = [
        "--handler-name",
        "GeneralPretrainHandler",
        "--text-labels",
        "--map-keys",
        json.dumps({"text": "text"}),
    ]
    return [*ours(path, tokenizer, prefix, 1)[:-4], *(plain if path.stem == "lines" else alpaca)]


def formats(shard: Path, tokenizer: Path, rounds: int, home: Path) -> dict[str, dict[str, float]]:
    """{"rows, csv": its CPU seconds and their ratio to parquet's} of files of each format in turn, least of the rounds."""
    import format_files

    found: dict[str, dict[str, float]] = {}
    for kind, paths in format_files.write(shard, home / "formats").items():
        seconds: dict[str, list[float]] = {ending: [] for ending in paths}
        made = set()
        for turn in range(rounds):
            for ending, path in paths.items():
                directory = home / f"{kind}-{ending}-{turn}"
                directory.mkdir()
                seconds[ending].append(measure(of_format(path, tokenizer, directory / "d"))["cpu"])
                made.add(digest(directory))
                subprocess.run(["rm", "-rf", str(directory)], check=True)
        if len(made) != 1:
            raise SystemExit(f"{kind}: the formats did not give the same bytes")
        for ending, each in seconds.items():
            found[f"{kind}, {ending}"] = {"cpu": min(each), "ratio": min(each) / min(seconds["parquet"])}
    return found


def measure(command: list[str]) -> dict[str, float]:
    """CPU seconds with those of all its processes, wall seconds, and the peak of the largest process [GB]."""
    environment = os.environ | {
        "RAYON_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
    }
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr
        errors = process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}\n{errors}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu": seconds, "wall": time.monotonic() - began, "peak_gb": usage.ru_maxrss / 2**20}


def digest(directory: Path) -> str:
    made = hashlib.sha256()
    for path in sorted(directory.glob("d_packed_*_document.*")):
        made.update(path.name.encode())
        # in pieces: what this process has ever held counts as the peak of those that it starts
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                made.update(block)
    return made.hexdigest()


def run(
    shard: Path, tokenizer: Path, rounds: int, home: Path, sides: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """{side: medians of cpu, wall and peak} of sides in turn; all that write must have written the same bytes."""
    found: dict[str, list[dict[str, float]]] = {}
    digests: dict[str, str] = {}
    for turn in range(rounds):
        for side in sides:
            directory = home / f"{side}-{turn}"
            directory.mkdir()
            if side in PEERS:
                command = [
                    sys.executable,
                    str(Path(__file__).with_name("tokenize_peers.py")),
                    side,
                    str(shard),
                    str(tokenizer),
                    str(directory / "d"),
                ]
            else:
                command = ours(shard, tokenizer, directory / "d", 2 if side.endswith("2") else 1)
            found.setdefault(side, []).append(measure(command))
            if side != "encode_batch_fast":
                digests[side] = digest(directory)
            subprocess.run(["rm", "-rf", str(directory)], check=True)
    if len(set(digests.values())) != 1:
        raise SystemExit(f"the sides did not write the same bytes: {digests}")
    return {
        side: {key: statistics.median(each[key] for each in runs) for key in runs[0]}
        for side, runs in found.items()
    }


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--rows", type=int, default=2000)
    flags.add_argument("--rounds", type=int, default=3)
    flags.add_argument("--shard", type=Path, help="a shard of one's own instead of benchmarks/corpus.py's")
    flags.add_argument("--big", type=float, metavar="GB")
    flags.add_argument("--formats", action="store_true")
    flags.add_argument("--json", action="store_true", help="print one JSON object")
    args = flags.parse_args()
    import qwen

    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        tokenizer = qwen.directory()
        shard, big = args.shard, []
        if shard is None:  # in a process of its own: what starts a process counts towards that one's peak
            made = [
                sys.executable,
                Path(__file__).with_name("corpus.py"),
                home / "corpus",
                "--rows",
                args.rows,
            ]
            made += ["--repeat", args.big] if args.big else []
            written = subprocess.run(list(map(str, made)), check=True, capture_output=True, text=True).stdout
            shard, *big = map(Path, written.split())
        if args.formats:
            found = formats(shard, tokenizer, args.rounds, home)
            for name, each in found.items() if not args.json else ():
                print(f"{name:24}{each['cpu']:8.2f} CPU s, {each['ratio']:.2f} of parquet's")
            if args.json:
                worst = max(each["ratio"] for each in found.values())
                print(json.dumps({"ratio": worst, "peer": "parquet", "rows": args.rows, "formats": found}))
            return
        medians = run(shard, tokenizer, args.rounds, home, (*OURS, *PEERS))
        for path in big:
            alone = run(path, tokenizer, args.rounds, home, OURS)
            medians |= {f"{side}, {args.big:g} GB": values for side, values in alone.items()}
            workers = alone[OURS[0]]["wall"] / alone[OURS[1]]["wall"]
    ratio = medians["datasets.map"]["cpu"] / medians["distillery"]["cpu"]
    if args.json:
        print(json.dumps({"ratio": ratio, "peer": "datasets.map", "rows": args.rows, "medians": medians}))
        return
    print(f"{'':24}{'CPU s':>8}{'wall s':>8}{'peak GB':>9}")
    for side, values in medians.items():
        print(f"{side:24}{values['cpu']:8.2f}{values['wall']:8.2f}{values['peak_gb']:9.2f}")
    print(f"datasets.map / distillery: {ratio:.1f} x CPU seconds")
    if args.big:
        print(f"two workers on {args.big:g} GB: {workers:.2f} x as fast as one")


if __name__ == "__main__":
    main()
