"""Make a problem set from files of problems and answers: .parquet .arrow .csv .json .jsonl .txt, of a folder or a wheel.

    python workflow/scripts/import_problems.py --input "my problems (1).jsonl" --name mine \\
        --columns '{"problem": "question", "answer": {"after": "####"}}' --filter '{"level": [4, 5]}' --output mine.parquet

OUTPUT.manifest.json says how many rows there were, and which were left out. Golds that cannot be scored are all listed, and
nothing is written, unless --unscorable leave_out.
"""

import argparse
from pathlib import Path

from distillery import command, options


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument(
        "--input",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="files, a folder of fetch_files.py, or a wheel",
    )
    parser.add_argument(
        "--files",
        nargs="+",
        default=[],
        metavar="NAME",
        help="of a folder or wheel: names, wildcards, ranges (default: all)",
    )
    parser.add_argument("--name", required=True, help="of the problem set; the family of rows that name none")
    options.add(
        parser,
        "problem_sets.*",
        "records",
        "columns",
        "hold_out",
        "filter",
        "rows",
        "sample",
        "unscorable",
        "strict",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="PARQUET")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import problem_file

    print(f"{args.output}: {problem_file.run(args)}")


if __name__ == "__main__":
    command.run(parser(), main)
