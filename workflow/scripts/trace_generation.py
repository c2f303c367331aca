"""Walk from a generated answer to the rows that taught it, or from a row to every experiment that learned from it.

    python workflow/scripts/trace_generation.py --configfile config/config.yaml 8b1f578d-921e-5c14-ae9b-15ac3b7cee59
    python workflow/scripts/trace_generation.py --configfile config/config.yaml --row b8ade0c9-e4a4-5bf4-b699-0372091435e8

The id of an answer is its problem's, with :SAMPLE behind it where there are several. Shown are prompt, seed, weights, training, step
and the first rows that it saw (shard, row, uuid); --rows writes all of them in their order. Nothing is run: what is read are the files that
the runs left, each held against its digest, and data that are others than those that were trained on end it.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument(
        "generation", nargs="?", metavar="GENERATION_ID", help="ID or ID:SAMPLE of a tuned model's answer"
    )
    parser.add_argument("--configfile", type=Path, required=True)
    parser.add_argument(
        "--row",
        metavar="UUID",
        help="of a training row: which experiments learned from it, and at which steps",
    )
    parser.add_argument("--experiment", metavar="NAME", help="look in this one only")
    parser.add_argument(
        "--rows", type=Path, metavar="FILE.jsonl", help="write every row behind the answer, with its step"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.trace import tracing

    print(tracing.run(args))


if __name__ == "__main__":
    command.run(parser(), main)
