"""Grade a teacher's answers and write those that are right as a shard of conversations, OpenR1-Math schema.

    python workflow/scripts/fetch_teacher_shard.py --questions questions.parquet --counts questions.json \\
        --answers answers.jsonl --keep shortest_right --output resources/datasets/taught/train-00000-of-00001.parquet \\
        --pass-rates pass_rates.json

--questions and --counts are of fetch_teacher_questions.py, --answers of inference.py or generate_served.py.
"""

import argparse
from pathlib import Path

from distillery import command, options, ranges

SOURCE = "datasets.*.source.teacher"


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    add = parser.add_argument
    add("--questions", type=Path, required=True, metavar="PARQUET", help="what was asked, with the golds")
    add("--counts", type=Path, required=True, metavar="JSON", help="what of the problem set that is")
    add("--answers", type=Path, required=True, metavar="JSONL")
    options.add(parser, SOURCE, "keep", "thoughts")
    options.add(parser, f"{SOURCE}.pass_rate", "at_least", "at_most")
    add(
        "--workers",
        type=ranges.reader(ranges.whole(1)),
        default=2,
        help="processes that grade; the shard does not depend on it",
    )
    add(
        "--cpu-seconds",
        type=ranges.reader(ranges.number(0.01)),
        default=10.0,
        help="limit for one answer; beyond it is wrong",
    )
    add("--output", type=Path, required=True, metavar="PARQUET", help="the shard")
    add("--pass-rates", type=Path, required=True, metavar="JSON", help="what became of the answers")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import rejection_sampling

    print(f"{args.output}: {rejection_sampling.run(args)}")


if __name__ == "__main__":
    command.run(parser(), main)
