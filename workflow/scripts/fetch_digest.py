"""Write the sha256 of files into one, a line each in the format of `sha256sum`, for rules to depend on.

    python workflow/scripts/fetch_digest.py --input data/a.parquet --output data/a.parquet.sha256

A big file that is touched or fetched again unchanged gives the same small digest file, and a small
file's content is what Snakemake compares.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--input", type=Path, nargs="+", required=True, metavar="FILE")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import digest_file

    digest_file.run(args)


if __name__ == "__main__":
    command.run(parser(), main)
