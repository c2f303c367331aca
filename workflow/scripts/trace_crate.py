"""Write an RO-Crate of what a configuration's experiments left, and a manifest of each file: what made it, of what.

    python workflow/scripts/trace_crate.py --configfile config/config.yaml --name "Arithmetic" --date 2026-11-30

Each run of the workflow does so at its end; this is for another name or date, and for a workflow that has Distillery as a module.
Run it where the experiments ran. The crate is ro-crate-metadata.json (RO-Crate 1.1, Workflow Run Crate), which archives and other
tools read; results/provenance/PATH.json says of each file its digest, its inputs' digests, command, code and package versions.
"""

import argparse
import datetime
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--configfile", type=Path, required=True)
    parser.add_argument("--name", default="Distillery run", help="what the crate is called")
    parser.add_argument(
        "--date",
        type=lambda text: datetime.date.fromisoformat(text).isoformat(),
        metavar="YYYY-MM-DD",
        help="when it is published: RO-Crate wants a date; today, or the one that stands where nothing else changed",
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.trace import research_crate

    print(research_crate.run(args))


if __name__ == "__main__":
    command.run(parser(), main)
