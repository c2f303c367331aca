"""What it costs that readers compare digests: each stage's own line with and without, CPU seconds of whole commands.

    python benchmarks/bench_digests.py                        # the embedded experiment, shortened and run for it first: 4 minutes
    python benchmarks/bench_digests.py --stages train         # one of them
    python benchmarks/bench_digests.py --configfile config/smollm2-135m.yaml    # larger files, an hour

Files are compared once, however long a command goes on after that: what is short shows more of it. Runs alternate, so
that a slow quarter of an hour meets both; `ratio` is the median with over the median without, and at most 1.03 is wanted. What stays on both sides: digests that are recorded of what is written, and those of inputs that a
manifest lists, which were made before anything compared them. Conversion against `cp` is bench_convert.py.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINKED = ("Snakefile", "workflow", "config", "envs", "profiles", ".venv")
STAGES = (
    "tokenize_shard",
    "tokenize_merge",
    "convert_hf_to_mcore",
    "train",
    "convert_mcore_to_hf",
    "generate_tuned_answers",
    "evaluate_tuned",
)
SHORT = """
problem_sets: {arithmetic-heldout: {generator: {rows: 100}}}
experiments: {embedded: {train: {train_iters: 100, save_interval: 50}, generate: {max_new_tokens: 16}}}
"""
OUTPUTS = ("--output", "--output-prefix", "--save-dir", "--save")
WITH = f"""
import runpy, sys
sys.path.insert(0, {str(ROOT / "workflow/scripts")!r})
from distillery import checksums, digests
from distillery.convert import stored_bytes
from distillery.tokenize import dataset_files
"""
# neither compared nor, where that is all that they are for, computed
WITHOUT = """
digests.wanted = digests.check = digests.check_file = digests.check_contents = lambda *_: None
digests.read_bytes = lambda path: path.read_bytes()
digests.lines = lambda path: path.open("rb")
digests.intact = lambda path: path.exists()
checksums.Seen.add = stored_bytes.Span.__call__ = stored_bytes._check_sha256 = lambda *_: None
dataset_files.DatasetFiles.check = lambda *_: None
"""
START = 'sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name="__main__")'


def prepared(folder: Path, configfile: Path | None) -> dict[str, list[str]]:
    """An experiment run in a folder of its own; {stage: the words of its first job}."""
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    (folder / "short.yaml").write_text(SHORT)
    chosen = [configfile.resolve()] if configfile else [ROOT / "config/config.yaml", folder / "short.yaml"]
    snakemake = [
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "all",
        "--configfile",
        *map(str, chosen),
    ]
    subprocess.run([*snakemake, "--quiet", "all"], cwd=folder, check=True)
    plan = [*snakemake, "--dry-run", "--printshellcmds", "--forceall"]
    said = subprocess.run(plan, cwd=folder, check=True, capture_output=True, text=True).stdout
    found: dict[str, list[str]] = {}
    for block in re.split(r"^\[.*\]\n(?=rule )", said, flags=re.MULTILINE)[1:]:
        rule = block.split()[1].strip(":")
        line = re.search(r"^Shell command: (.*?)(?=^\S|\Z)", block, re.MULTILINE | re.DOTALL)
        if rule in STAGES and line:
            found.setdefault(rule, shlex.split(line[1])[1:])
    return found


def seconds(folder: Path, words: list[str], prelude: str) -> float:
    """CPU seconds of a command, its outputs removed first."""
    for word, value in zip(words, words[1:], strict=False):
        if word in OUTPUTS:
            for path in (folder / value).parent.glob(f"{Path(value).name}*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", prelude + START, *words], cwd=folder, check=True, capture_output=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(folder: Path, words: list[str], rounds: int) -> dict[str, float]:
    """Medians of both sides, in turn, in a copy of the folder whose files are links."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        copy = Path(made) / "copy"
        shutil.copytree(folder, copy, symlinks=True, copy_function=os.link)
        sides: dict[str, list[float]] = {"with": [], "without": []}
        for number in range(rounds):
            for side in sorted(sides, reverse=bool(number % 2)):
                sides[side].append(seconds(copy, words, WITH + (WITHOUT if side == "without" else "")))
    found = {side: statistics.median(times) for side, times in sides.items()}
    return {**found, "ratio": found["with"] / found["without"]}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--configfile", type=Path, help="default: the embedded experiment, shortened")
    p.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--json", action="store_true")
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "run"
        folder.mkdir()
        lines = prepared(folder, args.configfile)
        found = {
            stage: measure(folder, lines[stage], args.rounds) for stage in STAGES if stage in args.stages
        }
    if args.json:
        print(json.dumps(found, indent=2))
        return
    for stage, one in found.items():
        print(f"{stage:<24} {one['with']:7.2f} CPU s with, {one['without']:7.2f} without: {one['ratio']:.3f}")


if __name__ == "__main__":
    main()
