"""Free the working directory of a run that was killed, and never of one that goes on; `make run` begins with this.

python workflow/scripts/unlock.py
python workflow/scripts/unlock.py --force    # also a lock of which nobody knows whose it is: make unlock
"""

import argparse

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument(
        "--force", action="store_true", help="unlock also where the run is on another machine or not recorded"
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery import former_run

    former_run.run(args)


if __name__ == "__main__":
    command.run(parser(), main)
