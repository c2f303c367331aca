"""Say which handler reads a file, told by its columns and first rows: what `handler_name: auto` takes.

    python workflow/scripts/tokenize_recognise.py --input rows.jsonl --output handler.json

The JSON holds handler_name and map_keys; preprocess_data.py reads it with --handler-file.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--input", type=Path, required=True, metavar="FILE", help="a file of rows")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.json")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.tokenize import recognition

    found = recognition.run(args)
    print(f"{args.input}: {found.handler_name} ({found.said})")


if __name__ == "__main__":
    command.run(parser(), main)
