"""Merge tokenized shards into one indexed dataset, in the order of their names, without decoding a token.

python workflow/scripts/tokenize_merge.py --input-prefixes shards/train-00000 shards/train-00001 --output-prefix openr1
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument(
        "--input-prefixes", type=Path, nargs="+", required=True, help="prefixes of preprocess_data.py"
    )
    parser.add_argument("--output-prefix", type=Path, required=True, help="prefix of the merged dataset")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.tokenize import merge

    manifest = merge.run(args)
    print(
        f"{len(args.input_prefixes)} datasets: {manifest['documents']} sequences, {manifest['tokens']} tokens"
    )


if __name__ == "__main__":
    command.run(parser(), main)
