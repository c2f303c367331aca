"""Say what below results/ none of some configurations needs any more, and remove it; what was fetched stays.

python workflow/scripts/clean.py --keep config/config.yaml config/mine.yaml

Files that no command wrote are left, and named. sizes.py says the same and removes nothing.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument(
        "--keep",
        type=Path,
        nargs="+",
        required=True,
        metavar="YAML",
        help="configurations whose results stay",
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.verify import disk_use

    for line in disk_use.run_clean(args):
        print(line, flush=True)


if __name__ == "__main__":
    command.run(parser(), main)
