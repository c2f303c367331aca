"""What the doctor prints: a line for each thing that it tried, coloured on a terminal, or JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from distillery import config
from distillery.addresses import masked
from distillery.doctor import Result, examination
from distillery.problems import Problem
from distillery.terminal_text import printable

COLOURS = {"ok": "32", "fail": "31", "absent": "90"}


def run(args: argparse.Namespace) -> Iterator[str]:
    """What doctor.py prints of its configuration: a line for each result as it comes, or one JSON array.

    Raises:
        Problem: something failed.
    """
    results = []
    for result in examination.examine(examination.scope(config.read(args.configfile), Path.cwd())):
        results.append(result)
        if not args.json:
            yield _line(result)
    if args.json:
        yield masked(json.dumps([asdict(result) for result in results], indent=2))
    red = [result.name for result in results if result.state == "fail"]
    if red:
        raise Problem(f"{len(red)} of {len(results)} are red: {', '.join(red)}")


def _line(result: Result) -> str:
    cure = f"\n      {result.fix}" if result.fix else ""
    text = f"{result.state:<7}{result.name:<18} {result.found}{cure}"
    text = printable(masked(text))
    return f"\033[{COLOURS[result.state]}m{text}\033[0m" if sys.stdout.isatty() else text
