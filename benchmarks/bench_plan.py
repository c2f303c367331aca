"""Plan a thousand files of every kind: CPU seconds and memory of a dry run, beside Snakemake's own start.

    python benchmarks/bench_plan.py
    python benchmarks/bench_plan.py --repeats 7 --json

`ratio` is 2.0 over the median CPU seconds of `snakemake -n -q` for one experiment with 1000 shards in batches
of 100. Ten experiments that share those shards, files of this machine, of addresses and of a hub in their stead, one
job for each shard, and the cross-checks alone for ten experiments (in this process, imports left out) stand beside
it, and so does Snakemake's start, which tells machines apart: the goal was set where that took 0.74 CPU seconds, so
`starts` (CPU seconds over the start's) is to be compared with 2.0 / 0.74 = 2.7. Cases alternate in the same process
tree.
"""

import argparse
import copy
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from distillery import config  # noqa: E402
from distillery.planning import checks  # noqa: E402

SHARDS, BATCH, EXPERIMENTS = 1000, 100, 10
GOAL = 2.0  # CPU seconds
START = "snakemake --version"
NAMES = f"part-{{00000..{SHARDS - 1:05}}}.jsonl"


def configuration(batch: int, experiments: int) -> dict[str, Any]:
    """The embedded experiment over many shards, and a sweep of so many learning rates."""
    raw = copy.deepcopy(yaml.safe_load((ROOT / "config/config.yaml").read_text()))
    raw["datasets"]["arithmetic"]["shards_per_job"] = batch
    raw["datasets"]["arithmetic"]["source"]["generator"].update(shards=SHARDS, rows_per_shard=100)
    raw["models"]["tiny-qwen2"]["random"]["tokenizer"]["rows"] = 100
    # 12,500 steps of 8 rows: one epoch
    raw["experiments"]["embedded"]["train"]["train_iters"] = 12500
    if experiments > 1:
        rates = [round(0.0003 * (place + 1), 4) for place in range(experiments)]
        raw["experiments"]["embedded"]["sweep"] = {"train.lr": rates}
    return raw


def of_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Configurations of as many files that are not made here, by the kind of their source; those of a path lie in the folder."""
    own = folder / "own"
    own.mkdir()
    for place in range(SHARDS):
        asked = {"role": "user", "content": f"What is {place} + 1?"}
        turns = [asked, {"role": "assistant", "content": str(place + 1)}]
        (own / f"part-{place:05}.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    sources = {
        "path": {"path": {"path": str(own), "files": "*.jsonl"}},
        "url": {"url": {"urls": ["https://data.example/{name}"], "files": NAMES}},
        "hub": {"hub": {"host": "huggingface", "repo": "own/data", "revision": "main", "files": NAMES}},
    }
    found = {}
    for kind, source in sources.items():
        raw = configuration(BATCH, 1)
        raw["datasets"]["own"] = {"source": source, "shards_per_job": BATCH}
        raw["experiments"]["embedded"]["dataset"] = "own"
        found[f"files of a {kind}, batches of {BATCH}"] = raw
    return found


def measured(line: list[str], directory: Path) -> tuple[float, float, float]:
    """(wall, CPU) seconds and peak resident MB of one process."""
    begun = time.perf_counter()
    # as users run it: modules are compiled once and kept, whatever the variables of this process say
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(directory / "pycache")
    process = subprocess.Popen(
        line, cwd=directory, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(line)} failed:\n{process.stderr.read()}")
    return time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def checking() -> float:
    """CPU seconds of loading and checking ten experiments."""
    raw = configuration(BATCH, EXPERIMENTS)
    begun = time.process_time()
    assert checks.run(config.load(raw)) == []
    return time.process_time() - begun


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--repeats", type=int, default=5, metavar="N")
    p.add_argument("--json", action="store_true")
    args = p.parse_args()
    plain = [sys.executable, "-m", "snakemake"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        configurations = {
            "one experiment, batches of 100": configuration(BATCH, 1),
            "ten experiments, batches of 100": configuration(BATCH, EXPERIMENTS),
            **of_files(folder),
            "one experiment, a job a shard": configuration(1, 1),
        }
        cases = {START: [*plain, "--version"]}
        for place, (case, raw) in enumerate(configurations.items()):
            path = folder / f"{place}.yaml"
            path.write_text(yaml.safe_dump(raw))
            cases[case] = [*plain, "-s", str(ROOT / "Snakefile"), "--configfile", str(path), "-n", "-q"]
            measured(cases[case], folder)  # what is read of modules is remembered from here on
        runs: dict[str, list[tuple[float, float, float]]] = {case: [] for case in cases}
        for _ in range(args.repeats):
            for case, line in cases.items():
                runs[case].append(measured(line, folder))
    checked = statistics.median(checking() for _ in range(args.repeats))
    rows = {
        case: {
            "wall_s": round(statistics.median(one[0] for one in found), 2),
            "cpu_s": round(statistics.median(one[1] for one in found), 2),
            "peak_mb": round(max(one[2] for one in found)),
            "all_cpu_s": [round(one[1], 2) for one in found],
        }
        for case, found in runs.items()
    }
    for row in rows.values():
        row["starts"] = round(row["cpu_s"] / rows[START]["cpu_s"], 2)
    ratio = GOAL / rows["one experiment, batches of 100"]["cpu_s"]
    result = {
        "peer": f"{GOAL} CPU seconds",
        "shards": SHARDS,
        "repeats": args.repeats,
        "ratio": round(ratio, 3),
    }
    result |= {"checks_cpu_s": round(checked, 4), "runs": rows}
    if args.json:
        print(json.dumps(result, indent=2))
        return
    print(f"dry run with {SHARDS} shards, median of {args.repeats} alternating runs")
    print(f"{'':34}{'wall s':>8}{'CPU s':>8}{'starts':>8}{'peak MB':>9}")
    for case, row in rows.items():
        print(f"{case:34}{row['wall_s']:8.2f}{row['cpu_s']:8.2f}{row['starts']:8.2f}{row['peak_mb']:9.0f}")
    print(f"{'checks of ten experiments':34}{'':8}{checked:8.3f}")
    print(f"ratio {ratio:.2f} ({GOAL} CPU seconds over the first dry run's; above 1 is better)")


if __name__ == "__main__":
    main()
