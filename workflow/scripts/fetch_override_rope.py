"""Give a model another rotary base or context, as a directory of links with its own config.json.

    python workflow/scripts/fetch_override_rope.py --model-dir resources/models/qwen2.5-math-7b \\
        --rotary-base 300000 --max-position-embeddings 32768 --output-dir resources/models/qwen2.5-math-7b-rotary_base300000

The weights are not copied and not changed: training has to teach them the new base.
"""

import argparse
from pathlib import Path

from distillery import command, options


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument(
        "--model-dir", type=Path, required=True, metavar="DIR", help="a Hugging Face directory"
    )
    options.add(parser, "experiments.*.rope", "rotary_base", "max_position_embeddings")
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import rope_override

    rope_override.run(args)


if __name__ == "__main__":
    command.run(parser(), main)
