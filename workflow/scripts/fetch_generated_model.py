"""Make a small random Qwen2 with a tokenizer of its own, as an ordinary Hugging Face directory.

    python workflow/scripts/fetch_generated_model.py --seed 0 --config-json '{"hidden_size": 96, "num_hidden_layers": 2}' \\
        --vocab-size 512 --tokenizer-shards resources/datasets/arithmetic/train-00000-of-00004.parquet \\
        --tokenizer-rows 3000 --output-dir resources/models/tiny-qwen2

--config-json holds the keys of config.json that differ from the embedded experiment's. The tokenizer is
trained on the first rows of the shards. Nothing here is pre-trained: the model answers no problem yet.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--seed", type=int, required=True, help="of the weights")
    parser.add_argument(
        "--config-json", default="{}", metavar="JSON", help="keys of a Hugging Face Qwen2 config"
    )
    parser.add_argument(
        "--vocab-size", type=int, default=512, help="rows of the embedding, special tokens included"
    )
    parser.add_argument("--tokenizer-shards", type=Path, nargs="+", required=True, metavar="PARQUET")
    parser.add_argument("--tokenizer-rows", type=int, default=3000)
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR")
    return parser


def main(args: argparse.Namespace) -> None:
    import json

    from distillery import files
    from distillery.fetch import model_directory, tiny_model, tiny_tokenizer
    from distillery.problems import UsageProblem

    try:
        overrides = json.loads(args.config_json)
    except json.JSONDecodeError as error:
        raise UsageProblem(
            "not JSON", where="--config-json", found=args.config_json, wanted=str(error)
        ) from None
    if not isinstance(overrides, dict):
        raise UsageProblem(
            "not an object", where="--config-json", found=args.config_json, wanted='{"key": value}'
        )
    tiny_model.config(overrides, args.vocab_size, 0)  # wrong sizes end here, before the tokenizer is trained
    tokenizer = tiny_tokenizer.train(args.tokenizer_shards, args.tokenizer_rows, args.vocab_size)
    config = tiny_model.config(overrides, args.vocab_size, tokenizer.token_to_id(tiny_tokenizer.END_OF_TEXT))
    with files.atomic_directory(args.output_dir) as directory:
        tiny_tokenizer.save(tokenizer, directory, config["max_position_embeddings"])
        tiny_model.save(config, args.seed, directory)
        source = {"kind": "seed", "seed": args.seed, "tokenizer_rows": args.tokenizer_rows}
        model_directory.write_manifest(directory, source, revision=None)
    print(f"{args.output_dir}: {tokenizer.get_vocab_size()} of {args.vocab_size} tokens used")


if __name__ == "__main__":
    command.run(parser(), main)
