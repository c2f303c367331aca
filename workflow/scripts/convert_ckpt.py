"""Convert weights: Hugging Face to Megatron-core, back, or from one parallel layout to another.

Hugging Face to MCore, the guide's command:

    python workflow/scripts/convert_ckpt.py --use-mcore-models --model-type GPT --load-model-type hf \\
        --save-model-type mg --target-tensor-parallel-size 2 --target-pipeline-parallel-size 1 --add-qkv-bias \\
        --load-dir ./model_from_hf/qwen --save-dir ./model_weights/qwen_mcore \\
        --tokenizer-model ./model_from_hf/qwen/tokenizer.json --model-type-hf llama2 --params-dtype bf16

MCore to Hugging Face; config, tokenizer and generation settings come from --hf-cfg-dir, stop ids and chat template
from what the model was tuned on, sampling defaults from --temperature, --top-k and --top-p if they are given:

    python workflow/scripts/convert_ckpt.py --use-mcore-models --load-model-type mg --save-model-type hf \\
        --load-dir ./model_weights/tuned --hf-cfg-dir ./model_from_hf/qwen --save-dir ./tuned_hf

Another layout (any to any): --load-model-type mg --save-model-type mg with the target's sizes.

What the source's layout is, is read from its files. Weights keep their type unless --params-dtype names one.
The output appears whole or not at all: SAVE/iter_XXXXXXX/mp_rank_*/model_optim_rng.pt, SAVE/manifest.json and,
last, SAVE/latest_checkpointed_iteration.txt; or a Hugging Face directory with its manifest.json.
"""

import argparse
from pathlib import Path

from distillery import command, options, ranges


def parser() -> argparse.ArgumentParser:
    from distillery.convert import convert_flags

    parser = command.parser(__doc__)
    parser.add_argument(
        "--use-mcore-models", action="store_true", help="must be given: no other format is written"
    )
    parser.add_argument("--model-type", default="GPT", help="GPT (default), the only one that is converted")
    parser.add_argument(
        "--load-model-type", required=True, metavar="hf|mg", help="hf: Hugging Face, mg: MCore"
    )
    parser.add_argument(
        "--save-model-type", required=True, metavar="hf|mg", help="hf: Hugging Face, mg: MCore"
    )
    parser.add_argument(
        "--load-dir", type=Path, required=True, metavar="DIR", help="a model, or a directory of iter_*"
    )
    parser.add_argument(
        "--save-dir", type=Path, required=True, metavar="DIR", help="output; must differ from the input"
    )
    parser.add_argument(
        "--hf-cfg-dir",
        type=Path,
        metavar="DIR",
        help="to hf: the original model, for config and tokenizer. Without it the reference's way: --save-dir is"
        " the original model and the output its subdirectory mg2hf",
    )
    parser.add_argument(
        "--tokenizer-model",
        type=Path,
        metavar="FILE",
        help="tokenizer.json: must exist, and every token must have a row in the embedding; nothing else is done",
    )
    parser.add_argument(
        "--model-type-hf", default="llama2", help="llama2 (default), also for Qwen2 and Qwen2.5"
    )
    parser.add_argument(
        "--add-qkv-bias", action="store_true", help="may be given; derived from config.json anyway"
    )
    parser.add_argument(
        "--params-dtype", choices=["bf16", "fp16", "fp32"], help="type to write (default: that of the source)"
    )
    parser.add_argument(
        "--target-tensor-parallel-size",
        type=options.number("experiments.*.layout.tensor_parallel_size"),
        default=1,
        metavar="N",
        help="default 1",
    )
    parser.add_argument(
        "--target-pipeline-parallel-size",
        type=options.number("experiments.*.layout.pipeline_parallel_size"),
        default=1,
        metavar="N",
        help="default 1",
    )
    parser.add_argument(
        "--num-layer-list", nargs="+", metavar="N,N", help="layers of each pipeline rank: 11,13,19,21"
    )
    parser.add_argument(
        "--num-layers-per-virtual-pipeline-stage",
        type=ranges.reader(ranges.whole(1)),
        metavar="N",
        help="interleaved stages",
    )
    parser.add_argument(
        "--noop-layers", nargs="+", metavar="N,N", help="positions of empty layers in the sequence"
    )
    parser.add_argument(
        "--make-vocab-size-divisible-by",
        type=ranges.reader(ranges.whole(1)),
        default=1,
        metavar="N",
        help="the vocabulary is padded to a multiple of N x tensor ranks (default 1; Megatron trains with 128)",
    )
    convert_flags.add_sampling(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.convert import conversion

    manifest = conversion.run(args)
    total = sum(entry["bytes"] for entry in manifest["files"])
    print(f"{args.save_dir}: {len(manifest['files'])} files, {total:,} bytes, {manifest['dtype']}")
    print(f"payload {manifest['payload_digest']}")


if __name__ == "__main__":
    command.run(parser(), main)
