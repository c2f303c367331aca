"""Fetch one file of a dataset that a lock describes, from a hub, its mirrors or plain addresses.

    python workflow/scripts/fetch_shard.py --lock resources/locks/openr1-math-220k.json \\
        --file data/train-00000-of-00010.parquet --endpoint https://hf-mirror.com \\
        --output resources/datasets/openr1-math-220k/train-00000-of-00010.parquet

Size, digest, parquet footer and rows are checked before the file gets its name; OUTPUT.manifest.json says
where it came from. A run that was killed continues with the missing bytes.
"""

import argparse
from pathlib import Path

from distillery import command
from distillery.fetch import fetch_flags


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    fetch_flags.add_fetching(parser)
    parser.add_argument("--file", required=True, metavar="NAME", help="its path in the repository")
    parser.add_argument(
        "--store", type=Path, metavar="DIR", help="keep the file here and make OUTPUT a link to it"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FILE")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import arrivals

    fetched, rows = arrivals.run_shard(args)
    counted = "" if rows is None else f", {rows} rows"
    print(f"{args.output}: {'fetched' if fetched else 'already here'}{counted}")


if __name__ == "__main__":
    command.run(parser(), main)
