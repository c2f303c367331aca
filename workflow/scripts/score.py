"""Score generations against a problem set with math-verify: strict (boxed, finished) and lenient.

    python workflow/scripts/score.py --generations results/generations/tuned.jsonl \\
        --problems resources/problems/arithmetic.parquet --output results/scores/tuned.jsonl

Strict: the last \\boxed{} after a closed </think> of a generation that was not cut. Each comparison runs
in a process of its own with a limit of CPU time, so neither load nor a hostile answer changes a score.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    it = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    it.add_argument("--generations", type=Path, required=True, metavar="JSONL")
    it.add_argument("--problems", type=Path, required=True, metavar="PARQUET")
    it.add_argument("--output", type=Path, required=True, metavar="JSONL")
    it.add_argument("--workers", type=int, default=2, help="processes; the scores do not depend on it")
    it.add_argument(
        "--cpu-seconds", type=float, default=10.0, help="limit for one answer; beyond it is wrong"
    )
    return it


def main(args: argparse.Namespace) -> None:
    import json

    import pyarrow.parquet as pq

    from distillery import files
    from distillery.evaluate import scoring

    generations = scoring.read_jsonl(args.generations, ("id", "sample", "prompt", "text", "tokens", "stop"))
    problems = pq.read_table(args.problems).to_pylist()
    scores = scoring.score(generations, problems, args.workers, args.cpu_seconds)
    files.write_text(args.output, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in scores))
    strict, lenient = (sum(row[kind] for row in scores) for kind in ("strict", "lenient"))
    timed_out, crashed = (sum(row[kind] for row in scores) for kind in ("timed_out", "crashed"))
    print(
        f"{args.output}: {len(scores)} answers, {strict} right (lenient {lenient}), {timed_out} out of time,"
        f" {crashed} crashed"
    )


if __name__ == "__main__":
    command.run(parser(), main)
