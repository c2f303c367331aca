"""Try what this machine needs: Python, packages, MindSpore on its device, CANN, ports, disk, hubs.

    python workflow/scripts/doctor.py
    python workflow/scripts/doctor.py --configfile config/qwen2.5-math-7b.yaml --json

One line each, green or red with the cure; grey is not there and not needed by the configuration, or not known. Exit code 1
if anything is red.
"""

import argparse
import sys
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--configfile", type=Path, default=Path("config/config.yaml"), metavar="FILE.yaml")
    parser.add_argument("--json", action="store_true", help="print one JSON array instead of lines")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.doctor import screen
    from distillery.terminal_text import drawn

    for text in screen.run(args):
        print(text, file=drawn(sys.stdout), flush=True)


if __name__ == "__main__":
    command.run(parser(), main, leads=False)
