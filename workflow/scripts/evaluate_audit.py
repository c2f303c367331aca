"""List an experiment's verdicts for a human, those most in doubt first, each with the line that would overrule it.

    python workflow/scripts/evaluate_audit.py --configfile config/config.yaml --experiment embedded

A line that is put into config/overrules/PROBLEM_SET.jsonl decides on that answer from then on: the next run scores anew,
says how many verdicts were overruled, and counts them in the comparison.
"""

import argparse
from pathlib import Path

from distillery import command, ranges


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--configfile", type=Path, required=True)
    parser.add_argument("--experiment", required=True, metavar="NAME")
    parser.add_argument(
        "--limit",
        type=ranges.reader(ranges.whole(0)),
        default=20,
        metavar="N",
        help="verdicts of each kind that are shown",
    )
    parser.add_argument(
        "--everything", action="store_true", help="also the verdicts that nothing speaks against"
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.evaluate import audit

    print(audit.run(args))


if __name__ == "__main__":
    command.run(parser(), main)
