"""Write a first configuration for rows of one's own, from the file itself, and say what it found: `make new`.

    python workflow/scripts/plan_new.py --name mine --data path/to/rows.jsonl --model path/to/model

It names format, columns and handler, measures the first rows, suggests seq_length, finds the problems, and plans it.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--name", required=True, help="of the experiment, and of the file below config/")
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="rows, or a folder of files")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="a Hugging Face directory; else a toy")
    parser.add_argument(
        "--problems",
        type=Path,
        metavar="FILE",
        help="questions with answers to be scored on; else rows of the data are held back, where answers can be compared",
    )
    parser.add_argument("--output", type=Path, metavar="FILE.yaml", help="(default: config/NAME.yaml)")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.configure import new_configuration

    for text in new_configuration.run(args):
        print(text)


if __name__ == "__main__":
    command.run(parser(), main)
