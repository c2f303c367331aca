"""Fine-tune an MCore checkpoint by MindSpeed-LLM under msrun or torchrun.

    python workflow/scripts/train_mindspeed.py --load results/checkpoints/qwen/bf16-tp1-pp2 --save results/tuned \\
        --data-path results/datasets/math/math --tokenizer-name-or-path resources/models/qwen \\
        --workers 8 --npus 8 --log-dir logs/msrun --directory /opt/MindSpeed-LLM --python /opt/ms/bin/python \\
        --set-env /usr/local/Ascend/ascend-toolkit/set_env.sh \\
        -- --use-mcore-models --tensor-model-parallel-size 1 --pipeline-model-parallel-size 2 ...

After -- come posttrain_gpt.py's flags as the configuration decides them; the model's shape is added from config.json,
the paths from here, and the whole line is checked against the reference's parser before it starts. The run resumes
its own checkpoint, ends with 3 when it saved after a signal, and writes SAVE/done.json last.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    from distillery.launch import launch_request

    parser = command.parser(__doc__)
    folder = {"type": Path, "required": True, "metavar": "FOLDER"}
    parser.add_argument("--load", help="MCore checkpoint to start from", **folder)
    parser.add_argument("--save", help="where done.json and the trained checkpoint go", **folder)
    parser.add_argument(
        "--data-path", help="prefix of the tokenized data", type=Path, required=True, metavar="PREFIX"
    )
    parser.add_argument("--tokenizer-name-or-path", help="Hugging Face directory of the model", **folder)
    launch_request.add_flags(parser)
    parser.add_argument("worker", nargs="+", metavar="FLAG", help="after --: flags of posttrain_gpt.py")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.launch.mindspeed import train_stage

    done = train_stage.run(args)
    if done is not None:
        print(f"step {done['iteration']}, loss {done['loss']:.4f}: {args.save / done['checkpoint']}")


if __name__ == "__main__":
    command.run(parser(), main)
