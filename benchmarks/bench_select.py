"""Rows a CPU second that each filter of a dataset's rows looks at, against tokenizing the same rows.

    python benchmarks/bench_select.py [--rows 2000] [--rounds 3] [--json]

One process reads the same shard (as benchmarks/corpus.py makes it) with one filter at a time; the peer is preprocess_data.py
with one worker. What a shard of 20 rows takes is start-up and is taken off from both. `ratio` of a filter is its rows a CPU
second over the peer's (above 1: the filter needs less). Judging goes through all answers, as if no column said which are right.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import bench_tokenize
from bench_tokenize import ROOT, TAGS

START_ROWS = 20
PEER = "preprocess_data.py"
COLUMNS = ["correctness_math_verify"]  # would tell what is right without judging
FILTERS = {
    "closed_thoughts": ["--closed-thoughts"],
    "boxed_answer": ["--boxed-answer"],
    "scripts": ["--scripts", "Latin"],
    "overlap": ["--overlap-words", "13"],
    "exact_duplicates": ["--exact-duplicates"],
    "near_duplicates": ["--near-duplicates"],
    "tokens": ["--max-tokens", "100000", "--prompt-type", "qwen_math_r1"],
    "right_answer": ["--right-answer", "--workers", "1"],
}


def shard(folder: Path, rows: int, name: str) -> Path:
    """A shard of so many rows that does not say which answers are right."""
    import pyarrow.parquet as pq

    made = [sys.executable, Path(__file__).with_name("corpus.py"), folder / name, "--rows", rows]
    written = subprocess.run(list(map(str, made)), check=True, capture_output=True, text=True).stdout
    table = pq.read_table(written.split()[0])
    path = folder / f"{name}.parquet"
    pq.write_table(table.drop_columns([one for one in COLUMNS if one in table.column_names]), path)
    return path


def problems(source: Path, path: Path) -> None:
    """A set of 500 problems that are those of the shard with other words in between, so that long stretches are rare."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = pq.read_table(source, columns=["problem"]).column(0).to_pylist()[:500]
    rows = [
        {
            "uuid": f"p{number}",
            "problem": " ".join(
                f"{word} of" if place % 5 else word for place, word in enumerate(text.split())
            ),
            "answer": "1",
        }
        for number, text in enumerate(texts)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)


def line(filter_flags: list[str], rows: Path, tokenizer: Path, problem_set: Path, folder: Path) -> list[str]:
    """select_rows.py with these filters; what it writes comes into the folder."""
    words = [ROOT / "workflow/scripts/select_rows.py", "--input", rows, "--tokenizer-name-or-path", tokenizer]
    words += ["--handler-name", "SharegptStyleInstructionHandler"]
    words += ["--map-keys", json.dumps({"messages": "messages", "tags": TAGS})]
    words += [*filter_flags, *(["--problems", problem_set] if "--overlap-words" in filter_flags else [])]
    return [sys.executable, *map(str, words), "--output", str(folder / "out"), "--card", str(folder / "card")]


def seconds(command: Callable[[Path], list[str]], home: Path, rounds: int) -> float:
    """Least CPU seconds of the rounds, each in a folder of its own: files that are there already would not be written."""
    return min(
        bench_tokenize.measure(command(Path(tempfile.mkdtemp(dir=home))))["cpu"] for _ in range(rounds)
    )


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--rows", type=int, default=2000)
    flags.add_argument("--rounds", type=int, default=3)
    flags.add_argument("--json", action="store_true", help="print one JSON object")
    args = flags.parse_args()
    import qwen

    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        tokenizer = qwen.directory()
        long, short = shard(home, args.rows, "long"), shard(home, START_ROWS, "short")
        problems(long, home / "problems.parquet")
        cost = {
            name: [
                seconds(partial(line, asked, rows, tokenizer, home / "problems.parquet"), home, args.rounds)
                for rows in (long, short)
            ]
            for name, asked in FILTERS.items()
        }
        cost[PEER] = [
            seconds(
                lambda out, rows=rows: bench_tokenize.ours(rows, tokenizer, out / "d", 1), home, args.rounds
            )
            for rows in (long, short)
        ]
    rates = {name: (args.rows - START_ROWS) / (each - start) for name, (each, start) in cost.items()}
    peer = rates.pop(PEER)
    told = {name: {"rows_per_cpu_s": rate, "ratio": rate / peer} for name, rate in rates.items()}
    if args.json:
        worst = min(one["ratio"] for one in told.values())
        print(json.dumps({"ratio": worst, "peer": PEER, "rows": args.rows, "filters": told}))
        return
    print(f"{PEER:24}{peer:10.0f} rows a CPU second")
    for name, one in told.items():
        print(f"{name:24}{one['rows_per_cpu_s']:10.0f}{one['ratio']:8.2f} x")


if __name__ == "__main__":
    main()
