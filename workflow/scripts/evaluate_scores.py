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
    from distillery import config
    from distillery.files import read_json

    for name in config.read(args.configfile).experiments:
        directory = Path("results/experiments", name)
        summary = read_json(directory / "summary.json")
        for side in ("base", "tuned"):
            print(
                f"{name}  {side:<5}  {summary[side]['accuracy']:7.2%} of {summary[side]['n']} answers right"
            )
        print(f"{name}  report  {directory / 'report.html'}")


if __name__ == "__main__":
    command.run(parser(), main)
