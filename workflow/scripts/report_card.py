"""Write a model card beside an experiment's export, in Hugging Face's format: data, recipe, scores, digests, licences.

    python workflow/scripts/report_card.py --configfile config/config.yaml --experiment embedded

It is README.md of the exported directory, whose header has the scores as `model-index`. The next export removes it with all else.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--configfile", type=Path, required=True)
    parser.add_argument("--experiment", required=True, metavar="NAME")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.report import model_card

    print(model_card.run(args))


if __name__ == "__main__":
    command.run(parser(), main)
