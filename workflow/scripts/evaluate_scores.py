"""Print what the experiments of a configuration reached, and where their reports are.

python workflow/scripts/evaluate_scores.py --configfile config/config.yaml
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--configfile", type=Path, required=True)
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.evaluate import reached

    for name, summary, report in reached.run(args):
        for side in ("base", "tuned"):
            accuracy, n = summary[side]["accuracy"], summary[side]["n"]
            print(f"{name}  {side:<5}  {accuracy:7.2%} of {n} answers right")
        print(f"{name}  report  {report}")


if __name__ == "__main__":
    command.run(parser(), main)
