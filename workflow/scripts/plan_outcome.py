"""Set what was estimated beside what was measured, with the plan's findings, for an experiment's report.

    python workflow/scripts/plan_outcome.py --plan-json '{"estimate": {...}, "findings": []}' --checks checks.json \\
        --done results/experiments/embedded/train/done.json --data-manifest arithmetic_manifest.json \\
        --output plan.json

Sizes, times and memory come from the files that each step left and from the benchmarks and samples beside its logs,
all below the working directory; what is missing there was not measured.
"""

import argparse
import json
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument(
        "--plan-json", type=json.loads, required=True, metavar="JSON", help="estimate and findings"
    )
    parser.add_argument("--checks", type=Path, required=True, metavar="FILE.json", help="of plan_sources.py")
    parser.add_argument("--done", type=Path, required=True, metavar="FILE.json", help="of the training")
    parser.add_argument("--data-manifest", type=Path, required=True, metavar="FILE.json")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.json")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.planning import outcome

    for row in outcome.run(args)["rows"]:
        error = "" if row["error"] is None else f" ({row['error']:+.0%})"
        print(
            f"{row['quantity']}: estimated {row['estimate']}, measured {row['measured']} {row['unit']}{error}"
        )


if __name__ == "__main__":
    command.run(parser(), main)
