"""Check a configuration and say what it will take: memory, time, disk and tokens, before anything runs.

    python workflow/scripts/plan.py --configfile config/qwen2.5-math-7b.yaml
    python workflow/scripts/plan.py --configfile config/config.yaml --json > plan.json

Needs neither NPU nor downloads. Findings come first, one a line, errors before warnings; with errors it ends
there and exits 1. JSON holds the same, and every job with its exact command, the line of msrun that it starts
where it has ranks, its figures, and whether it is due.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--configfile", type=Path, default=Path("config/config.yaml"), metavar="FILE.yaml")
    parser.add_argument("--snakefile", type=Path, default=Path(__file__).resolve().parents[2] / "Snakefile")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.planning import plan_tables

    for text in plan_tables.run(args):
        print(text)


if __name__ == "__main__":
    command.run(parser(), main)
