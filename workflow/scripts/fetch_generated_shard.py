"""Write one shard of a generated dataset: seeded problems with R1-style traces, OpenR1-Math schema.

    python workflow/scripts/fetch_generated_shard.py --seed 0 --shard 0 --shards 4 --rows 3200 \\
        --output resources/datasets/arithmetic/train-00000-of-00004.parquet

A shard is a function of the seed and its own number, so shards are made in any order and in parallel.
No problem of a `fetch_generated_problems.py` set occurs in any shard of any seed, commuted pairs included.
"""

import argparse
from pathlib import Path

from distillery import command, options, ranges


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--seed", type=options.number("datasets.*.source.generator.seed"), required=True)
    parser.add_argument(
        "--shard", type=ranges.reader(ranges.whole(0)), required=True, help="number of this shard, from 0"
    )
    parser.add_argument(
        "--shards",
        type=options.number("datasets.*.source.generator.shards"),
        required=True,
        help="how many there are",
    )
    parser.add_argument(
        "--rows",
        type=options.number("datasets.*.source.generator.rows_per_shard"),
        required=True,
        help="rows of this shard",
    )
    options.add(parser, "datasets.*.source.generator", "kind")
    parser.add_argument("--output", type=Path, required=True, metavar="PARQUET")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import synthetic

    print(f"{args.output}: {synthetic.run_shard(args)} rows, {args.output.stat().st_size} bytes")


if __name__ == "__main__":
    command.run(parser(), main)
