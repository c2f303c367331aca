"""Let MindSpeed-LLM's inference.py answer its built-in question, and keep the answer.

    python workflow/scripts/generate_mindspeed.py --load results/experiments/math/train \\
        --tokenizer-name-or-path resources/models/qwen --output mindspeed_answer.txt --workers 2 --npus 2 \\
        --log-dir logs/msrun --directory /opt/MindSpeed-LLM --python /opt/ms/bin/python \\
        --set-env /usr/local/Ascend/ascend-toolkit/set_env.sh \\
        -- --ai-framework mindspore --use-mcore-models --tensor-model-parallel-size 1 --pipeline-model-parallel-size 2 \\
        --task greedy --max-new-tokens 256 ...

After -- come its flags as the configuration decides them; the model's shape is added from config.json. It takes no
prompts and writes no file: this is the guide's generation step, a look at whether weights load and speak.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    from distillery.launch import launch_request

    parser = command.parser(__doc__)
    folder = {"type": Path, "required": True, "metavar": "FOLDER"}
    parser.add_argument("--load", help="MCore checkpoint", **folder)
    parser.add_argument("--tokenizer-name-or-path", help="Hugging Face directory of the model", **folder)
    parser.add_argument("--output", type=Path, required=True, metavar="TEXT", help="question and answer")
    launch_request.add_flags(parser)
    parser.add_argument("worker", nargs="+", metavar="FLAG", help="after --: flags of inference.py")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.launch.mindspeed import generate_stage

    print(generate_stage.run(args), end="")


if __name__ == "__main__":
    command.run(parser(), main)
