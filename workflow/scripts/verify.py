"""Run a configuration again from nothing, elsewhere, and compare every result byte by byte; or compare digests only.

    python workflow/scripts/verify.py --configfile config/config.yaml
    python workflow/scripts/verify.py --configfile config/config.yaml --quick

What is compared: fetched and tokenized data, checkpoints, exports, answers and scores. What is left out:
logs, reports, and the sidecars that hold times. Names each file that differs and exits 1, but for what follows from a
server's answers: that is compared and named, for two answers of a server may differ.

--quick runs nothing: it reads everything that the experiments here stand on, reports included, holds it against the
digests that were recorded when it was written, and lists all faults, each with the command that makes it again.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--configfile", type=Path, required=True)
    parser.add_argument("--cores", default="all", help="for the second run; may differ from the first's")
    parser.add_argument(
        "--against", type=Path, metavar="DIR", help="compare with a finished run there instead of a new one"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="compare what lies here with its recorded digests, and run nothing",
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.verify import verification

    print(verification.run(args))


if __name__ == "__main__":
    command.run(parser(), main, leads=False)
