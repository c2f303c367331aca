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
    import json

    from distillery.evaluate import self_check
    from distillery.fetch import openr1, problem_file
    from distillery.problems import Problem, UsageProblem

    try:
        columns = dict(json.loads(args.columns))
    except (ValueError, TypeError) as error:
        raise UsageProblem("not a JSON object", where="--columns", found=error) from None
    if unknown := set(columns) - set(problem_file.COLUMNS):
        raise UsageProblem(
            "unknown column", where="--columns", found=sorted(unknown), wanted=problem_file.COLUMNS
        )
    if not args.input.is_file():
        raise Problem("no such file", where=args.input, fix="fetch it with fetch_shard.py")
    rows = problem_file.read(args.input, columns, args.name, args.rows)
    checked = self_check.check([row["answer"] for row in rows])
    if trouble := self_check.problem(checked, args.input):
        raise trouble
    written = openr1.write(rows, openr1.PROBLEM_SCHEMA, args.output)
    print(f"{args.output}: {written} problems of {len({row['problem_type'] for row in rows})} families,")
    print(f"{checked['right']} of {checked['golds']} golds right against themselves: {checked['kinds']}")


if __name__ == "__main__":
    command.run(parser(), main)
