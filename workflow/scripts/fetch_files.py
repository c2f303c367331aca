"""Fetch the files of a problem set that a lock describes, from a hub, its mirrors or plain addresses, into one folder.

    python workflow/scripts/fetch_files.py --lock resources/locks/problems/math-500.json \\
        --endpoint https://hf-mirror.com --output-dir resources/problems/math-500.files

Each file is checked against size and digest of the lock as it lands; manifest.json comes last. A run that
was killed continues with the missing bytes, a run with everything present asks nobody.
"""

import argparse
from pathlib import Path

from distillery import command
from distillery.fetch import fetch_flags


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    fetch_flags.add_fetching(parser)
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import arrivals

    count, fetched = arrivals.run_files(args)
    print(f"{args.output_dir}: {count} files, {fetched} of them fetched now")


if __name__ == "__main__":
    command.run(parser(), main)
