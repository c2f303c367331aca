"""Leave rows out of a dataset by filters: a line for each of them, and a card with counts and samples.

    python workflow/scripts/select_rows.py --input resources/datasets/openr1 --handler-name auto \\
        --closed-thoughts --boxed-answer --right-answer --overlap-words 13 --problems resources/problems/aime24.parquet \\
        --exact-duplicates --near-duplicates --output left_out.jsonl --card selection.json

preprocess_data.py --left-out left_out.jsonl tokenizes the others.
"""

import argparse
import json
from pathlib import Path

from distillery import command, options, ranges, schema

SELECT = "experiments.*.select"


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    add = parser.add_argument
    add("--input", type=Path, nargs="+", required=True, help="files, or directories of files of one kind")
    add(
        "--problems",
        type=Path,
        nargs="*",
        default=[],
        help="problem sets whose words --overlap-words looks for",
    )
    add("--tokenizer-name-or-path", type=Path, help="a Hugging Face directory, where tokens are counted")
    add("--handler-name", required=True, help="how rows become conversations (auto: by the first rows)")
    add("--map-keys", type=json.loads, help="JSON: which columns and tags play which part")
    add("--handler-file", type=Path, metavar="FILE.json", help="with auto: what tokenize_recognise.py found")
    options.add(parser, "datasets.*", "thoughts")
    add("--hold-out", type=json.loads, help="JSON of one_in and columns: rows that are passed over")
    tokens = parser.add_argument_group("how tokens are counted")
    tokens.add_argument("--prompt-type", help="how conversations become text")
    tokens.add_argument("--enable-thinking", choices=["true", "false", "none"], default="none")
    options.add(tokens, "experiments.*.tokenize", "append_eod", "special_tokens_in_text")
    filters = parser.add_argument_group("filters")
    options.add(filters, SELECT, "closed_thoughts", "boxed_answer", "min_pass_rate", "max_pass_rate")
    filters.add_argument(
        "--scripts",
        nargs="+",
        default=[],
        choices=schema.at(f"{SELECT}.scripts")["items"]["enum"],
        metavar="SCRIPT",
        help="names of Unicode's scripts, such as Latin or Han, that letters are of",
    )
    options.add(filters, SELECT, "min_script_share", "overlap_words", "min_tokens", "max_tokens")
    options.add(filters, SELECT, "right_answer", "exact_duplicates", "near_duplicates", "max_per_source")
    options.add(filters, SELECT, "answer_column", "source_column")
    add(
        "--earlier",
        type=Path,
        nargs="*",
        default=[],
        metavar="PARQUET",
        help="--questions of datasets that go before in a mix: rows that repeat theirs are duplicates too",
    )
    add("--workers", type=ranges.reader(ranges.whole(1)), default=2, help="processes that judge answers")
    add(
        "--cpu-seconds",
        type=ranges.reader(ranges.number(0.01)),
        default=10.0,
        help="limit for one answer; beyond it is wrong",
    )
    add("--output", type=Path, required=True, metavar="JSONL", help="the rows that are left out")
    add("--card", type=Path, required=True, metavar="JSON", help="counts and samples")
    add("--questions", type=Path, metavar="PARQUET", help="what was compared of the rows that are kept")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.select import selection

    card = selection.run(args)
    print(f"{card['kept']} of {card['rows']} rows are kept")
    for one in card["left_out"]:
        print(f"{one['rows']} left out by {one['filter']}")


if __name__ == "__main__":
    command.run(parser(), main)
