"""Check weights, and prove that a conversion lost nothing.

    python workflow/scripts/convert_verify.py --hf-dir ./model_from_hf/qwen --mcore-dir ./model_weights/qwen_mcore \\
        --output proof.json

One directory alone is checked by itself: shard sizes against headers, index against headers, names and shapes
against config.json (MCore: the saved args and the set of ranks), bytes against sha256 in manifest.json or the
CRC-32 of every record. With both, every Hugging Face tensor is put together from the rank files, as an export
would, and compared by sha256; the exact payload of the layout is the gate, the guide's 5 % rule a warning.
--check-logits compares the rank files' logits, computed shard by shard in numpy, with transformers on the
original (small models; needs torch).
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--hf-dir", type=Path, metavar="DIR", help="a Hugging Face model")
    parser.add_argument("--mcore-dir", type=Path, metavar="DIR", help="an MCore checkpoint of any layout")
    parser.add_argument(
        "--check-logits", action="store_true", help="compare logits too; both directories, small models"
    )
    parser.add_argument(
        "--output", type=Path, metavar="JSON", help="write the proof; absent if anything is wrong"
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.convert import inspection

    inspection.run(args)


if __name__ == "__main__":
    command.run(parser(), main)
