"""Try what this machine needs: Python, packages, MindSpore on its device, CANN, ports, disk, hubs.

    python workflow/scripts/doctor.py
    python workflow/scripts/doctor.py --configfile config/qwen2.5-math-7b.yaml --json

One line each, green or red with the cure; grey is not there and not needed by the configuration, or not known. Exit code 1
if anything is red.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from distillery import command
from distillery.problems import Problem

COLOURS = {"ok": "32", "fail": "31", "absent": "90"}


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--configfile", type=Path, default=Path("config/config.yaml"), metavar="FILE.yaml")
    parser.add_argument("--json", action="store_true", help="print one JSON array instead of lines")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery import config
    from distillery.doctor import examination

    loaded = config.read(args.configfile)
    results = []
    for result in examination.examine(examination.scope(loaded, Path.cwd())):
        results.append(result)
        if not args.json:
            print(line(result), flush=True)
    if args.json:
        print(json.dumps([dataclasses.asdict(result) for result in results], indent=2))
    red = [result.name for result in results if result.state == "fail"]
    if red:
        raise Problem(f"{len(red)} of {len(results)} are red: {', '.join(red)}")


def line(result) -> str:
    cure = f"\n      {result.fix}" if result.fix else ""
    text = f"{result.state:<7}{result.name:<18} {result.found}{cure}"
    return f"\033[{COLOURS[result.state]}m{text}\033[0m" if sys.stdout.isatty() else text


if __name__ == "__main__":
    command.run(parser(), main)
