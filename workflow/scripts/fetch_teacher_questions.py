"""Write what a teacher is asked: the problems of a set whose golds can be read, as far as a budget goes, in parts.

    python workflow/scripts/fetch_teacher_questions.py --problems resources/problems/math-500.parquet --part 0 --parts 4 \\
        --most 400 --output questions.parquet --counts questions.json

Parts are neighbours in the set. inference.py and generate_served.py take it as their --prompt-file.
"""

import argparse
from pathlib import Path

from distillery import command, options, ranges


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--problems", type=Path, required=True, metavar="PARQUET", help="a problem set")
    parser.add_argument(
        "--part", type=ranges.reader(ranges.whole(0)), default=0, help="number of this part, from 0"
    )
    parser.add_argument(
        "--parts",
        type=options.number("datasets.*.source.teacher.shards"),
        default=1,
        help="how many there are",
    )
    parser.add_argument(
        "--most",
        type=ranges.reader(ranges.whole(1)),
        help="problems of all parts together, the set's first (default: all)",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="PARQUET")
    parser.add_argument(
        "--counts", type=Path, required=True, metavar="JSON", help="what is asked, and what is not"
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import teacher_questions

    print(f"{args.output}: {teacher_questions.run(args)}")


if __name__ == "__main__":
    command.run(parser(), main)
