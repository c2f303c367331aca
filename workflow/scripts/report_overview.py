"""Render one page over all experiments of a configuration: scores, stages, sweeps, cost, and the settings that differ.

    python workflow/scripts/report_overview.py --settings-json '{"a": {"model": "tiny"}, "b": {"model": {"experiment": "a"}}}' \\
        --summary a=a/summary.json b=b/summary.json --plan a=a/plan.json b=b/plan.json \\
        --report a=a/report.html b=b/report.html --output results/overview.html

The workflow makes it where a configuration has more than one experiment, and each report links it. Its tables lie beside it as JSON.
"""

import argparse
import json
from pathlib import Path

from distillery import command

OF_EACH = {
    "summary": "of evaluate_compare.py",
    "plan": "of plan_outcome.py",
    "report": "of report_page.py, to be linked; it need not be there yet",
}


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument(
        "--settings-json", type=json.loads, required=True, metavar="JSON", help="{experiment: its settings}"
    )
    for role, text in OF_EACH.items():
        parser.add_argument(
            f"--{role}",
            type=command.named_file,
            nargs="+",
            required=True,
            metavar="EXPERIMENT=FILE",
            help=text,
        )
    parser.add_argument(
        "--sweep",
        type=command.named_file,
        nargs="+",
        default=[],
        metavar="NAME=FILE",
        help="of evaluate_sweep.py, one of each sweep",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="HTML")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.report import overview_page

    print(overview_page.run(args))


if __name__ == "__main__":
    command.run(parser(), main)
