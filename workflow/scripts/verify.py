"""Run a configuration again from nothing, elsewhere, and compare every result byte by byte.

    python workflow/scripts/verify.py --configfile config/config.yaml

What is compared: fetched and tokenized data, checkpoints, exports, answers and scores. What is left out:
logs, reports, and the sidecars that hold times. Names each file that differs and exits 1.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--configfile", type=Path, required=True)
    parser.add_argument("--cores", default="all", help="for the second run; may differ from the first's")
    parser.add_argument(
        "--against", type=Path, metavar="DIR", help="compare with a finished run there instead of a new one"
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery import reproduction

    print(f"{reproduction.run(args)} files are byte-identical in both runs")


if __name__ == "__main__":
    command.run(parser(), main)
