"""Write a held-out problem set of the embedded dataset: uuid, problem, answer, problem_type.

    python workflow/scripts/fetch_generated_problems.py --seed 0 --rows 400 --output resources/problems/arithmetic.parquet

Its problems are about pairs of operands that no training shard of any seed uses.
"""

import argparse
from pathlib import Path

from distillery import command
from distillery.problems import UsageProblem


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--rows", type=int, required=True, help="how many problems, all different")
    parser.add_argument("--output", type=Path, required=True, metavar="PARQUET")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import openr1, synthetic

    if args.rows < 1:
        raise UsageProblem(
            "a problem set needs problems", where="--rows", found=args.rows, wanted="1 or more"
        )
    written = openr1.write(synthetic.problem_rows(args.seed, args.rows), openr1.PROBLEM_SCHEMA, args.output)
    print(f"{args.output}: {written} problems")


if __name__ == "__main__":
    command.run(parser(), main)
