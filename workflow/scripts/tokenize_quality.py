"""Write the quality card of a tokenized dataset as JSON: counts, lengths, repetitions, leaks from problem sets.

    python workflow/scripts/tokenize_quality.py --data-prefix results/datasets/openr1/qwen/openr1 \\
        --input resources/datasets/openr1 --problems resources/problems/aime.parquet --seq-length 8192 --output card.json
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        prog="tokenize_quality.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    flags.add_argument(
        "--data-prefix", type=Path, required=True, help="prefix of preprocess_data.py or tokenize_merge.py"
    )
    flags.add_argument("--input", type=Path, nargs="+", required=True, help="the shards that it was made of")
    flags.add_argument(
        "--problems", type=Path, nargs="*", default=[], help="problem sets that should not occur in it"
    )
    flags.add_argument("--seq-length", type=int, help="tokens that training sees of a row")
    flags.add_argument("--output", type=Path, required=True)
    return flags


def main(args: argparse.Namespace) -> None:
    from distillery import files
    from distillery.tokenize import quality_card

    card = quality_card.card(args.data_prefix, args.input, args.problems, args.seq_length)
    files.write_json(args.output, card)
    kinds = ("unclosed_think", "missing_boxed", "exact_duplicate", "near_duplicate")
    print(
        f"{card['rows']} rows: "
        + ", ".join(f"{card[kind]['rows']} {kind.replace('_', ' ')}" for kind in kinds)
    )
    for name, leak in card["overlap"].items():
        print(
            f"{name}: {leak['rows']} rows overlap with {leak['problems_hit']} of {leak['problems']} problems"
        )


if __name__ == "__main__":
    command.run(parser(), main)
