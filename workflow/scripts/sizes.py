"""List what each experiment, dataset and checkpoint below results/ takes, and what no configuration needs any more.

python workflow/scripts/sizes.py --keep config/config.yaml config/mine.yaml
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
        help="configurations whose results are needed",
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.verify import disk_use

    print("\n".join(disk_use.run_sizes(args)))


if __name__ == "__main__":
    command.run(parser(), main)
