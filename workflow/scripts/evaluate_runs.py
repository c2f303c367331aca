"""Compare an experiment's current run with the earlier ones that were kept: what was set otherwise, and what came of it.

    python workflow/scripts/evaluate_runs.py --configfile config/config.yaml --experiment embedded

Each finished run's answers, scores and report are kept in results/experiments/EXPERIMENT/runs/RUN, never its weights.
"""

import argparse
from pathlib import Path

from distillery import command, options


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--configfile", type=Path, required=True)
    parser.add_argument("--experiment", required=True, metavar="NAME")
    parser.add_argument(
        "--seed", type=options.number("experiments.*.generate.seed"), default=0, help="of the bootstrap"
    )
    parser.add_argument("--output", type=Path, metavar="JSON", help="write the comparison by problem set too")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.evaluate import run_comparison

    print(run_comparison.run(args))


if __name__ == "__main__":
    command.run(parser(), main)
