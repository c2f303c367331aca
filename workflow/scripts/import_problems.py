"""Make a problem set from a fetched file: JSON-lines, JSON or parquet with problems and answers.

    python workflow/scripts/import_problems.py --input resources/problems/math-500.source --name math-500 \\
        --columns '{"uuid": "unique_id", "problem_type": "subject"}' --output resources/problems/math-500.parquet
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--input", type=Path, required=True, metavar="FILE")
    parser.add_argument("--name", required=True, help="of the problem set; the family of rows that name none")
    parser.add_argument(
        "--columns",
        default="{}",
        metavar="JSON",
        help="the file's names for uuid, problem, answer, problem_type",
    )
    parser.add_argument("--rows", type=int, help="at most so many, from the first")
    parser.add_argument("--output", type=Path, required=True, metavar="PARQUET")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import problem_file

    rows = problem_file.run(args)
    print(f"{args.output}: {len(rows)} problems of {len({row['problem_type'] for row in rows})} families")


if __name__ == "__main__":
    command.run(parser(), main)
