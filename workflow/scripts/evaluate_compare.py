"""Compare the scores of the base and the tuned model on the same problems.

    python workflow/scripts/evaluate_compare.py --base results/scores/base.jsonl --tuned results/scores/tuned.jsonl \\
        --seed 0 --output comparison.json --summary summary.json

Strict accuracies with 95 % intervals, overall and by family; problems gained and lost; McNemar's exact
test; a seeded paired bootstrap of the difference; lengths and how generations stopped.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--base", type=Path, required=True, metavar="JSONL", help="scores of score.py")
    parser.add_argument("--tuned", type=Path, required=True, metavar="JSONL", help="scores of score.py")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--output", type=Path, required=True, metavar="JSON", help="the whole comparison")
    parser.add_argument(
        "--summary", type=Path, required=True, metavar="JSON", help="the accuracies and a verdict"
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.evaluate import comparison

    summary = comparison.run(args)
    for name in ("base", "tuned"):
        low, high = summary[name]["interval"]
        print(f"{name}: {summary[name]['accuracy']:.1%} of {summary[name]['n']} ({low:.1%} to {high:.1%})")


if __name__ == "__main__":
    command.run(parser(), main)
