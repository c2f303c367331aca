"""Score generations against a problem set: strict (boxed, finished) and lenient, by our rules and math-verify.

    python workflow/scripts/score.py --generations results/generations/tuned.jsonl \\
        --problems resources/problems/arithmetic.parquet --output results/scores/tuned.jsonl
    python workflow/scripts/score.py --self-check --problems resources/problems/math-500.parquet

Strict: the last \\boxed{} after a closed </think> of a generation that was not cut. Each comparison runs
in a process of its own with a limit of CPU time, so neither load nor a hostile answer changes a score.
Each score keeps the gold, both readings, the rule that decided, and what math-verify alone says.
"""

import argparse
from pathlib import Path

from distillery import command, ranges


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--generations", type=Path, metavar="JSONL")
    parser.add_argument("--problems", type=Path, required=True, metavar="PARQUET")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="scores (JSONL), or what --self-check finds (JSON)"
    )
    parser.add_argument(
        "--workers",
        type=ranges.reader(ranges.whole(1)),
        default=2,
        help="processes; the scores do not depend on it",
    )
    parser.add_argument(
        "--cpu-seconds",
        type=ranges.reader(ranges.number(0.01)),
        default=10.0,
        help="limit for one answer; beyond it is wrong",
    )
    parser.add_argument(
        "--plain-math-verify", action="store_true", help="without the rules that go before math-verify"
    )
    parser.add_argument(
        "--overrules",
        type=Path,
        metavar="JSONL",
        help="a human's verdicts (evaluate_audit.py), which replace ours",
    )
    parser.add_argument(
        "--self-check",
        action="store_true",
        help="score each gold against itself; exit 1 unless all are right",
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.evaluate import evaluate_run

    print(evaluate_run.run(args))


if __name__ == "__main__":
    command.run(parser(), main)
