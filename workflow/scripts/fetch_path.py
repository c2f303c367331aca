"""Take a model or a shard from this machine's disk, linked or copied, as if it had been fetched.

    python workflow/scripts/fetch_path.py --kind model --path /data/Qwen2.5-Math-7B --mode link \\
        --output resources/models/qwen2.5-math-7b
    python workflow/scripts/fetch_path.py --kind shard --path /data/train-00000-of-00010.parquet --mode copy \\
        --output resources/datasets/openr1/train-00000-of-00010.parquet
"""

import argparse
from pathlib import Path

from distillery import command, options


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--kind", choices=["model", "shard"], required=True)
    parser.add_argument(
        "--path", type=Path, required=True, help="a Hugging Face directory, or a file of rows"
    )
    options.add(parser, "models.*.path", "mode")
    parser.add_argument(
        "--output", type=Path, required=True, help="a directory for a model, a file for a shard"
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import arrivals

    rows = arrivals.run_local(args)
    print(f"{args.output}: {args.mode} of {args.path}" + ("" if rows is None else f", {rows} rows"))


if __name__ == "__main__":
    command.run(parser(), main)
