"""Write a mix of tokenized datasets as one, for MindSpeed-LLM's training: the rows that the built-in engine would take.

python workflow/scripts/tokenize_mix.py --data-path 0.7 d/math/math 0.3 d/mine/mine --seq-length 4096 --train-iters 300 \\
    --global-batch-size 8 --seed 1234 --split 100,0,0 --output-prefix results/experiments/both/mix/mix
"""

import argparse
from pathlib import Path

from distillery import command, options


def parser() -> argparse.ArgumentParser:
    from distillery.train import train_flags

    parser = command.parser(__doc__)
    train_flags.add_data(parser)
    options.add(parser, "experiments.*", "seq_length")
    options.add(parser, train_flags.TRAIN, "train_iters", "global_batch_size", "seed", "split")
    parser.add_argument(
        "--output-prefix", type=Path, required=True, help="prefix of the dataset that is written"
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.train import written_mix

    manifest = written_mix.run(args)
    taken = ", ".join(f"{one['dataset']} {one['samples']}" for one in manifest["mix"])
    print(f"{manifest['documents']} sequences, {manifest['tokens']} tokens: {taken}")


if __name__ == "__main__":
    command.run(parser(), main)
