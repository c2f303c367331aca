"""Tokenize shards by MindSpeed-LLM's preprocess_data.py.

    python workflow/scripts/tokenize_mindspeed.py --input resources/datasets/math/train-00000-of-00010.parquet \\
        --tokenizer-name-or-path resources/models/qwen --output-prefix results/datasets/math/math --log-dir logs/msrun \\
        --directory /opt/MindSpeed-LLM --python /opt/ms/bin/python --set-env /usr/local/Ascend/ascend-toolkit/set_env.sh \\
        -- --handler-name SharegptStyleInstructionHandler --prompt-type qwen_math_r1 --map-keys '{...}' --workers 4

After -- come its flags as the configuration decides them; the paths are added here, and the whole line is checked
against its parser before it starts. Its .bin and .idx are checked and appear together with our rows and manifest.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    from distillery.launch import launch_request

    parser = command.parser(__doc__)
    parser.add_argument("--input", type=Path, nargs="+", required=True, metavar="SHARD", help="files of rows")
    parser.add_argument(
        "--tokenizer-name-or-path", type=Path, required=True, metavar="FOLDER", help="Hugging Face directory"
    )
    parser.add_argument("--output-prefix", type=Path, required=True, metavar="PREFIX", help="of the dataset")
    parser.add_argument(
        "--handler-file", type=Path, metavar="FILE.json", help="what tokenize_recognise.py found"
    )
    launch_request.add_flags(parser)
    parser.add_argument("worker", nargs="+", metavar="FLAG", help="after --: flags of preprocess_data.py")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.launch.mindspeed import tokenize_stage

    manifest = tokenize_stage.run(args)
    print(
        f"{manifest['rows']} rows: {manifest['kept']} kept, {manifest['dropped']['overlong']['count']} dropped; "
        f"{manifest['documents']} sequences, {manifest['tokens']} tokens, {manifest['supervised_tokens']} supervised"
    )


if __name__ == "__main__":
    command.run(parser(), main)
