"""Write the graph of rules that lead to some targets, in dot, edges sorted.

An edge is left out where a longer way leads from its one end to the other: what remains can be read.

    python workflow/scripts/report_rulegraph.py --snakefile Snakefile --configfile config/config.yaml \\
        --target results/experiments/embedded/{comparison,hf.proof}.json --output rulegraph.dot
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--snakefile", type=Path, required=True)
    parser.add_argument("--configfile", type=Path, nargs="+", default=[])
    parser.add_argument(
        "--config", nargs="+", default=[], metavar="NAME=VALUE", help="as Snakemake takes them"
    )
    parser.add_argument("--target", nargs="+", required=True, help="files that the workflow makes")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.dot")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.report import rule_edges

    rule_edges.run(args)


if __name__ == "__main__":
    command.run(parser(), main)
