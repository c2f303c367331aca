"""Fine-tune an MCore checkpoint on tokenized data with the built-in engine.

    python workflow/scripts/posttrain_gpt.py --load results/checkpoints/tiny/mcore --save results/tuned \\
        --data-path results/datasets/arithmetic/arithmetic --tokenizer-name-or-path resources/models/tiny \\
        --seq-length 128 --micro-batch-size 8 --global-batch-size 8 --train-iters 1600 --lr 3e-3 --min-lr 6e-5 \\
        --lr-decay-style cosine --lr-warmup-iters 30 --weight-decay 0.1 --adam-beta2 0.95 --save-interval 400

Flags are Megatron's, as in the guide's tune script; the architecture comes from config.json. Training works in
SAVE/work/<key>/, where <key> is the digest of all that the weights depend on: a killed or interrupted run (exit
code 3 after SIGTERM, SIGUSR1 or Ctrl-C, which save first) is continued by the same command and ends with the same bytes.
At the end SAVE is an MCore checkpoint, and SAVE/done.json is written last. One line a step is in
SAVE/work/<key>/metrics.jsonl.
"""

import argparse

from distillery import command


def parser() -> argparse.ArgumentParser:
    from distillery.train import train_flags

    parser = command.parser(__doc__)
    train_flags.add_to(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.train import train_run

    done = train_run.run(args)
    if done is not None:
        print(f"step {done['iteration']}, loss {done['loss']:.4f}: {args.save / done['checkpoint']}")


if __name__ == "__main__":
    command.run(parser(), main, sampled=True)
