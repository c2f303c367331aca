"""Fetch a model that a lock describes, from a hub or its mirrors, as an ordinary Hugging Face directory.

    python workflow/scripts/fetch_model.py --lock resources/locks/qwen2.5-math-7b.json \\
        --endpoint https://www.modelscope.cn --workers 4 --output-dir resources/models/qwen2.5-math-7b

Each file is checked against size and digest of the lock as it lands; manifest.json comes last. A run that
was killed continues with the missing bytes, a run with everything present asks nobody.
"""

import argparse
from pathlib import Path

from distillery import command, options
from distillery.fetch import fetch_flags


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    fetch_flags.add_fetching(parser)
    options.add(parser, "models.*.hub", "workers")
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import arrivals

    count, fetched = arrivals.run_model(args)
    print(f"{args.output_dir}: {count} files, {fetched} of them fetched now")


if __name__ == "__main__":
    command.run(parser(), main)
