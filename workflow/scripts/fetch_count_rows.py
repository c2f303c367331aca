"""Check that fetched shards hold as many rows as the dataset is known to have.

    python workflow/scripts/fetch_count_rows.py --shards resources/datasets/openr1/train-*.parquet \\
        --rows 93733 --output resources/datasets/openr1/rows.json
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    it = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    it.add_argument("--shards", type=Path, nargs="+", required=True, metavar="PARQUET")
    it.add_argument("--rows", type=int, required=True, help="of all shards together")
    it.add_argument("--output", type=Path, required=True, metavar="JSON")
    return it


def main(args: argparse.Namespace) -> None:
    from distillery import files
    from distillery.fetch import arrived_files

    files.write_json(args.output, arrived_files.count(args.shards, args.rows))
    print(f"{args.output}: {len(args.shards)} shards, {args.rows} rows")


if __name__ == "__main__":
    command.run(parser(), main)
