r"""Time and memory to score 10,000 answers of mixed kinds with two processes, start-up included.

    python benchmarks/bench_score.py [--problems 2500] [--json]

Golds are whole numbers (four of ten), fractions, roots, points, polynomials, intervals and lists; six of ten answers are
right, some written otherwise, the others of any kind; three of a hundred have no box. --problems 10000 asks each problem
once, so that no answer is known from another sample.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "workflow" / "scripts")]

ANSWERS = 10_000


def gold(draw: random.Random) -> str:
    """A gold answer of one of seven kinds."""
    a, b, c = (draw.randrange(2, 60) for _ in range(3))
    kinds = [
        rf"\frac{{{a}}}{{{b + 60}}}",
        rf"{a}\sqrt{{{b}}}",
        rf"\left({a}, \frac{{\pi}}{{{b}}}\right)",
        rf"x^2 - {a}x + {b}",
        rf"[{a}, {a + b})",
        rf"{a},{a + b},{a + b + c}",
    ]
    return str(draw.randrange(-99, 2000)) if draw.random() < 0.4 else draw.choice(kinds)


def answer(draw: random.Random, right: str) -> str:
    """What stands in the box: the gold in some writing, or something else."""
    a, b = draw.randrange(2, 99), draw.randrange(2, 99)
    if draw.random() < 0.6:
        alone = right if "," in right or "x" in right else f"x = {right}"
        return draw.choice([right, right.replace(r"\frac", r"\dfrac"), f"{right} ", alone, f"${right}$"])
    roots = rf"{a}+{b}\sqrt{{{draw.choice((2, 3, 5, 7))}}}"
    wrong = [str(a), rf"\frac{{{a}}}{{{b}}}", f"({a},{b})", roots, f"{a}x+{b}", rf"\frac{{{a}\pi}}{{{b}}}"]
    return draw.choice([*wrong, f"{a}.{b}", f"{a},{b}"])


def write(folder: Path, problems: int) -> None:
    """A problem set and its generations, the same for the same number of problems."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw = random.Random(5)
    rows = [{"uuid": f"p{number}", "answer": gold(draw)} for number in range(problems)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "problems.parquet")
    with (folder / "answers.jsonl").open("w") as out:
        for row in rows:
            for sample in range(ANSWERS // problems):
                found = answer(draw, row["answer"])
                box = rf"\boxed{{{found}}}" if draw.random() < 0.97 else found
                thought = "We compute. " * draw.randrange(20, 200)
                text = f"<think>\n{thought}\n</think>\n\nThe answer is {box}."
                made = {
                    "id": row["uuid"],
                    "sample": sample,
                    "prompt": "",
                    "text": text,
                    "tokens": [0],
                    "stop": "eos",
                }
                out.write(json.dumps(made) + "\n")


def proportional_mb(pid: int) -> float:
    """Memory of a process and those below it, in MB: pages that several share count once among them (PSS)."""
    total = 0
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        with contextlib.suppress(psutil.Error):  # it ended meanwhile
            total += process.memory_full_info().pss
    return total / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", type=int, default=2500)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, args.problems)
        files = (
            "--generations",
            "answers.jsonl",
            "--problems",
            "problems.parquet",
            "--output",
            "scores.jsonl",
        )
        start = time.perf_counter()
        scoring = subprocess.Popen([sys.executable, ROOT / "workflow/scripts/score.py", *files], cwd=folder)
        together = 0.0
        while scoring.poll() is None:
            together = max(together, proportional_mb(scoring.pid))
            time.sleep(0.2)
        if scoring.returncode:
            raise SystemExit(f"score.py ended with {scoring.returncode}")
        wall = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = {
        "wall_s": wall,
        "cpu_s": used.ru_utime + used.ru_stime,
        "largest_process_mb": used.ru_maxrss / 1024,
        "all_processes_mb": together,
    }
    found = {key: round(value, 2) for key, value in found.items()}
    print(json.dumps(found) if args.json else "  ".join(f"{key} {value}" for key, value in found.items()))


if __name__ == "__main__":
    main()
