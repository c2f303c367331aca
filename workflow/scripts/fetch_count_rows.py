"""Check that fetched shards hold as many rows as the dataset is known to have.

    python workflow/scripts/fetch_count_rows.py --shards resources/datasets/openr1/train-*.parquet \\
        --rows 93733 --output resources/datasets/openr1.rows.json
"""

import argparse
from pathlib import Path

from distillery import command, options


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--shards", type=Path, nargs="+", required=True, metavar="PARQUET")
    parser.add_argument(
        "--rows",
        type=options.number("datasets.*.source.hub.rows"),
        required=True,
        help="of all shards together",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="JSON")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import arrived_files

    arrived_files.run_count(args)
    print(f"{args.output}: {len(args.shards)} shards, {args.rows} rows")


if __name__ == "__main__":
    command.run(parser(), main)
