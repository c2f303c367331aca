"""Convert weights by MindSpeed-LLM's convert_ckpt.py, either way.

    python workflow/scripts/convert_mindspeed.py --load-dir resources/models/qwen --save-dir results/checkpoints/qwen/tp2 \\
        --target-tensor-parallel-size 2 --params-dtype bf16 --log-dir logs/msrun --directory /opt/MindSpeed-LLM \\
        --python /opt/ms/bin/python --set-env /usr/local/Ascend/ascend-toolkit/set_env.sh

    python workflow/scripts/convert_mindspeed.py --load-dir results/tuned --hf-cfg-dir resources/models/qwen \\
        --save-dir tuned-hf --params-dtype bf16 --log-dir logs/msrun --directory /opt/MindSpeed-LLM ...

With --hf-cfg-dir the way goes back to a Hugging Face directory. Its line is checked against its parser before it
starts; what it wrote is checked as convert_verify.py does, and appears as a whole with our manifest.
"""

import argparse
from pathlib import Path

from distillery import command, options


def parser() -> argparse.ArgumentParser:
    from distillery.convert import convert_flags
    from distillery.launch import launch_request

    parser = command.parser(__doc__)
    parser.add_argument(
        "--load-dir", type=Path, required=True, metavar="DIR", help="a model, or a directory of iter_*"
    )
    parser.add_argument("--save-dir", type=Path, required=True, metavar="DIR", help="output")
    parser.add_argument(
        "--hf-cfg-dir",
        type=Path,
        metavar="DIR",
        help="to Hugging Face: the original model, for config and tokenizer",
    )
    parser.add_argument(
        "--target-tensor-parallel-size",
        type=options.number("experiments.*.layout.tensor_parallel_size"),
        default=1,
        metavar="N",
        help="to MCore (default 1)",
    )
    parser.add_argument(
        "--target-pipeline-parallel-size",
        type=options.number("experiments.*.layout.pipeline_parallel_size"),
        default=1,
        metavar="N",
        help="to MCore (default 1)",
    )
    parser.add_argument(
        "--num-layer-list", metavar="N,N", help="layers of each pipeline rank, where they differ"
    )
    parser.add_argument(
        "--params-dtype", choices=["bf16", "fp16", "fp32"], required=True, help="type to write"
    )
    convert_flags.add_sampling(parser)
    launch_request.add_flags(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.launch.mindspeed import convert_stage

    manifest = convert_stage.run(args)
    total = sum(entry["bytes"] for entry in manifest["files"])
    print(f"{args.save_dir}: {len(manifest['files'])} files, {total:,} bytes, {manifest['dtype']}")
    print(f"payload {manifest['payload_digest']}")


if __name__ == "__main__":
    command.run(parser(), main)
