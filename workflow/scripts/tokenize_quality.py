"""Write the quality card of a tokenized dataset as JSON: counts, lengths, repetitions, leaks from problem sets.

    python workflow/scripts/tokenize_quality.py --data-prefix results/datasets/openr1/qwen/openr1 \\
        --input resources/datasets/openr1 --problems resources/problems/aime.parquet --seq-length 8192 --output card.json
"""

import argparse
from pathlib import Path

from distillery import command, options


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument(
        "--data-prefix", type=Path, required=True, help="prefix of preprocess_data.py or tokenize_merge.py"
    )
    parser.add_argument("--input", type=Path, nargs="+", required=True, help="the shards that it was made of")
    parser.add_argument(
        "--problems", type=Path, nargs="*", default=[], help="problem sets that should not occur in it"
    )
    parser.add_argument(
        "--pass-rates",
        type=Path,
        nargs="*",
        default=[],
        help="of the shards that a teacher wrote (fetch_teacher_shard.py)",
    )
    parser.add_argument(
        "--left-out", type=Path, metavar="JSONL", help="of select_rows.py, if the dataset was made with it"
    )
    parser.add_argument(
        "--selection", type=Path, metavar="JSON", help="that command's card, which becomes part of this"
    )
    options.add(parser, "experiments.*.select", "overlap_words", default=8)
    parser.add_argument(
        "--seq-length",
        type=options.number("experiments.*.seq_length"),
        help="tokens that training sees of a row",
    )
    parser.add_argument("--output", type=Path, required=True)
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.tokenize import quality_card

    card = quality_card.run(args)
    kinds = ("unclosed_think", "missing_boxed", "exact_duplicate", "near_duplicate")
    print(
        f"{card['rows']} rows: "
        + ", ".join(f"{card[kind]['rows']} {kind.replace('_', ' ')}" for kind in kinds)
    )
    for name, leak in card["overlap"].items():
        print(
            f"{name}: {leak['rows']} rows overlap with {leak['problems_hit']} of {leak['problems']} problems"
        )
    if taught := card.get("teacher"):
        print(f"of {taught['answers']} answers of the teacher {taught['right']} are right")


if __name__ == "__main__":
    command.run(parser(), main)
