"""Serve an experiment's exported weights by the engine that is installed, and print a line that asks it: `make serve`.

    python workflow/scripts/generate_serve.py --configfile config/config.yaml --experiment embedded

The engine is the one that the experiment's server names (`generate.engine`), else what --python's environment has: vLLM, SGLang
or transformers. It listens on this machine alone, and ends with Ctrl-C.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument(
        "--configfile", type=Path, default=Path("config/config.yaml"), help="the configuration"
    )
    parser.add_argument("--experiment", metavar="NAME", help="whose export (default: the only one)")
    parser.add_argument(
        "--python", metavar="FILE", help="interpreter of the engine's environment (default: this one)"
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.serving import hand_over

    hand_over.run(args)


if __name__ == "__main__":
    command.run(parser(), main, leads=False)
