"""Set any two experiments side by side on each problem set that both answered: a page of numbers, and of texts that flipped.

    python workflow/scripts/report_pair.py --configfile config/config.yaml --experiment stage1 --beside stage2

An experiment's name stands for its tuned model, NAME:base for the model that it started from. Their answers and scores
must be there; nothing is generated or scored anew. Pages and all numbers as JSON go below results/comparisons/.
"""

import argparse
from pathlib import Path

from distillery import command, options


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--configfile", type=Path, required=True)
    parser.add_argument("--experiment", required=True, metavar="NAME[:base]", help="compared with")
    parser.add_argument("--beside", required=True, metavar="NAME[:base]", help="compared")
    parser.add_argument(
        "--seed", type=options.number("experiments.*.generate.seed"), default=0, help="of the bootstrap"
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.report import pair_page

    print(pair_page.run(args))


if __name__ == "__main__":
    command.run(parser(), main)
