"""Write a problem set of a generated dataset, held out or not: uuid, problem, answer, problem_type.

    python workflow/scripts/fetch_generated_problems.py --seed 0 --rows 400 --output resources/problems/arithmetic.parquet

Its problems are about pairs of operands that no training shard of any seed uses, or told as none is (--kind stories), unless
--part says training.
"""

import argparse
from pathlib import Path

from distillery import command, options


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--seed", type=options.number("problem_sets.*.generator.seed"), required=True)
    parser.add_argument(
        "--rows",
        type=options.number("problem_sets.*.generator.rows"),
        required=True,
        help="how many problems, all different",
    )
    options.add(parser, "problem_sets.*.generator", "part", "kind")
    parser.add_argument("--output", type=Path, required=True, metavar="PARQUET")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import synthetic

    print(f"{args.output}: {synthetic.run_problems(args)} problems")


if __name__ == "__main__":
    command.run(parser(), main)
