"""Set an experiment beside the others of its sweep: differences of their tuned models, corrected for their number.

    python workflow/scripts/evaluate_sweep.py --reference lr1 --scores lr1=a.scores.jsonl lr2=b.scores.jsonl \\
        --output sweep.json

Scores of any models on the same problems can be set beside one another so.
"""

import argparse
from pathlib import Path

from distillery import command, options


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument(
        "--reference", required=True, metavar="NAME", help="what the others are compared with"
    )
    parser.add_argument(
        "--scores",
        type=command.named_file,
        nargs="+",
        required=True,
        metavar="NAME=JSONL",
        help="scores of score.py, of the reference and of the others",
    )
    parser.add_argument(
        "--seed", type=options.number("experiments.*.generate.seed"), default=0, help="of the bootstrap"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="JSON")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.evaluate import sweep_comparison

    print(sweep_comparison.run(args))


if __name__ == "__main__":
    command.run(parser(), main)
