"""Make a shard of CHAMP's competition problems, or its held-out problem set, from the wheel they ship in.

    python workflow/scripts/fetch_champ.py --wheel resources/wheels/champ-dataset-1.0.0.whl \\
        --kind shard --shard 0 --shards 2 --output resources/datasets/champ/train-00000-of-00002.parquet
    python workflow/scripts/fetch_champ.py --wheel resources/wheels/champ-dataset-1.0.0.whl \\
        --kind problems --rows 40 --output resources/problems/champ.parquet

Shards and problem set share no problem, nor variants of one.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--wheel", type=Path, required=True, metavar="WHL", help="as fetch_wheel.py left it")
    parser.add_argument("--kind", choices=["shard", "problems"], required=True)
    parser.add_argument("--shard", type=int, default=0, help="number of this shard, from 0")
    parser.add_argument("--shards", type=int, default=1, help="how many there are")
    parser.add_argument("--rows", type=int, help="at most so many problems (default: all held-out ones)")
    parser.add_argument("--output", type=Path, required=True, metavar="PARQUET")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import champ

    print(f"{args.output}: {champ.run(args)}")


if __name__ == "__main__":
    command.run(parser(), main)
