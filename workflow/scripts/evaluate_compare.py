"""Compare the scores of two models on the same problems: base and tuned, or any two.

    python workflow/scripts/evaluate_compare.py --base results/scores/base.jsonl --tuned results/scores/tuned.jsonl \\
        --seed 0 --output comparison.json --summary summary.json

Strict accuracies with 95 % intervals, overall and by family, source and level; pass@k and maj@k of several
samples; problems gained and lost; an exact paired test; a seeded paired bootstrap of the difference; what number
of problems would show a difference where none is shown; lengths, how generations stopped, accuracy by token budget.
"""

import argparse
from pathlib import Path

from distillery import command, options


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--base", type=Path, required=True, metavar="JSONL", help="scores of score.py")
    parser.add_argument("--tuned", type=Path, required=True, metavar="JSONL", help="scores of score.py")
    parser.add_argument("--names", nargs=2, default=["base", "tuned"], help="what the two are called")
    parser.add_argument(
        "--problem-set",
        metavar="NAME",
        help="of these scores: the summary gets `sets`, the summary of each set by its name",
    )
    parser.add_argument(
        "--further-sets",
        type=command.named_file,
        nargs="+",
        default=[],
        metavar="NAME=FILE",
        help="comparisons of other problem sets, of the same two models",
    )
    parser.add_argument(
        "--seed", type=options.number("experiments.*.generate.seed"), default=0, help="of the bootstrap"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="JSON", help="the whole comparison")
    parser.add_argument(
        "--summary", type=Path, required=True, metavar="JSON", help="the accuracies and a verdict"
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.evaluate import comparison

    print(comparison.run(args))


if __name__ == "__main__":
    command.run(parser(), main)
