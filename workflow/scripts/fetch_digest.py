"""Write the sha256 of files into one, a line each in the format of `sha256sum`, for rules to depend on.

    python workflow/scripts/fetch_digest.py --input data/a.parquet --output data/a.parquet.sha256

A big file that is touched or fetched again unchanged gives the same small digest file, and a small
file's content is what Snakemake compares.
"""

import argparse
from pathlib import Path

from distillery import command, files
from distillery.problems import Problem


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--input", type=Path, nargs="+", required=True, metavar="FILE")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE")
    return parser


def main(args: argparse.Namespace) -> None:
    for path in args.input:
        if not path.is_file():
            raise Problem("no such file", where=path, fix="run the rule or command that makes it first")
    lines = [f"{files.sha256(path)}  {path.name}\n" for path in args.input]
    files.write_text(args.output, "".join(lines))


if __name__ == "__main__":
    command.run(parser(), main)
