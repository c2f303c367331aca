"""Merge tokenized shards into one indexed dataset, in the order of their names, without decoding a token.

python workflow/scripts/tokenize_merge.py --input-prefixes shards/train-00000 shards/train-00001 --output-prefix openr1
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        prog="tokenize_merge.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    flags.add_argument(
        "--input-prefixes", type=Path, nargs="+", required=True, help="prefixes of preprocess_data.py"
    )
    flags.add_argument("--output-prefix", type=Path, required=True, help="prefix of the merged dataset")
    return flags


def main(args: argparse.Namespace) -> None:
    from distillery.tokenize import merge

    manifest = merge.run(args.input_prefixes, args.output_prefix)
    print(
        f"{len(args.input_prefixes)} datasets: {manifest['documents']} sequences, {manifest['tokens']} tokens"
    )


if __name__ == "__main__":
    command.run(parser(), main)
