"""Make a small random Qwen2 with a tokenizer of its own, as an ordinary Hugging Face directory.

    python workflow/scripts/fetch_generated_model.py --seed 0 --config-json '{"hidden_size": 96, "num_hidden_layers": 2}' \\
        --vocab-size 512 --tokenizer-shards resources/datasets/arithmetic/train-00000-of-00004.parquet \\
        --tokenizer-rows 3000 --output-dir resources/models/tiny-qwen2

--config-json holds the keys of config.json that differ from the embedded experiment's. The tokenizer is
trained on the first rows of the shards. Nothing here is pre-trained: the model answers no problem yet.
"""

import argparse
from pathlib import Path

from distillery import command, options


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument(
        "--seed", type=options.number("models.*.random.seed"), required=True, help="of the weights"
    )
    parser.add_argument(
        "--config-json", default="{}", metavar="JSON", help="keys of a Hugging Face Qwen2 config"
    )
    parser.add_argument(
        "--vocab-size",
        type=options.number("models.*.random.tokenizer.vocab_size"),
        default=512,
        help="rows of the embedding, special tokens included",
    )
    parser.add_argument("--tokenizer-shards", type=Path, nargs="+", required=True, metavar="PARQUET")
    parser.add_argument(
        "--tokenizer-rows", type=options.number("models.*.random.tokenizer.rows"), default=3000
    )
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import tiny_model

    used = tiny_model.run(args)
    print(f"{args.output_dir}: {used} of {args.vocab_size} tokens used")


if __name__ == "__main__":
    command.run(parser(), main)
