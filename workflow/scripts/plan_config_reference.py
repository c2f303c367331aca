"""Write the reference of configuration keys, from the schema, and of findings into config/README.md, between its two marks.

python workflow/scripts/plan_config_reference.py --readme config/README.md
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--readme", type=Path, required=True, metavar="FILE.md")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.configure import key_tables

    key_tables.run(args)


if __name__ == "__main__":
    command.run(parser(), main)
