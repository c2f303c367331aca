"""Ask the hubs and write the locks that a configuration names (`lock: config/locks/x.json`); `make lock`.

    python workflow/scripts/fetch_write_locks.py --configfile config/qwen2.5-math-7b.yaml

What an old lock knows must still be so, unless --anew says that a change is meant.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--configfile", type=Path, required=True, metavar="YAML")
    parser.add_argument("--anew", action="store_true", help="forget what the old locks say")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import named_locks

    written = 0
    for path, made in named_locks.run(args):
        written += 1
        print(f"{path}: {len(made.files)} files of {made.repo} at {made.revision or 'no fixed revision'}")
    if not written:
        print(f"{args.configfile}: no source names a lock")


if __name__ == "__main__":
    command.run(parser(), main)
