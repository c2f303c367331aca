"""Hold fetched files against a plan: config.json, template and tokenizer, a shard's first rows, held-out problems.

    python workflow/scripts/plan_sources.py --model-dir resources/models/tiny-qwen2 \\
        --shard resources/datasets/arithmetic/train-00000-of-00004.parquet \\
        --problems resources/problems/arithmetic-heldout.parquet \\
        --settings-json '{"experiment": "embedded", "dataset": "arithmetic", "prompt_type": "qwen_math_r1", ...}' \\
        --output checks.json

`snakemake -n -p` prints the settings of an experiment; planning/fetched_settings.py explains each of them.
Prints findings as the plan does. Errors end it with exit code 1 before the long jobs start; warnings, and
what the sample says of lengths, go into the output and from there into the report.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument(
        "--model-dir", type=Path, required=True, metavar="DIR", help="a Hugging Face directory"
    )
    parser.add_argument(
        "--shard",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE.parquet",
        help="of each dataset the first",
    )
    parser.add_argument(
        "--problems",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE.parquet",
        help="named after their problem sets",
    )
    parser.add_argument(
        "--settings-json", nargs="+", required=True, metavar="JSON", help="what each shard is held against"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.json")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.planning.checks import fetched_checks

    print(*fetched_checks.run(args), sep="\n")


if __name__ == "__main__":
    command.run(parser(), main)
