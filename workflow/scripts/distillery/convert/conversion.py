"""What convert_ckpt.py does: open the source, check it against the flags, convert in the direction asked for."""

from __future__ import annotations

import sys
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any

from distillery import model_config, progress
from distillery.convert import (
    convert,
    convert_flags,
    copying,
    dtypes,
    export,
    mcore,
    rank_files,
    stored_bytes,
    vocabulary_rows,
    weight_sources,
)
from distillery.convert.weight_sources import Source
from distillery.problems import UsageProblem


def run(args: Namespace) -> dict[str, Any]:
    """Do what convert_ckpt.py's flags ask; returns the manifest of the output.

    Raises:
        UsageProblem, Problem: as `flags.check` and `convert` say; nothing is left behind.
    """
    convert_flags.check(args)
    if args.load_model_type == "hf":
        source = weight_sources.open_hf(args.load_dir)
    else:
        source = weight_sources.open_mcore(args.load_dir)
    _check_bias(args, source)
    wanted = convert_flags.layout(args)
    if args.save_model_type == "mg":
        wanted.grid(source.architecture)
    else:
        _check_layout(args, source)
    if args.tokenizer_model:
        say(vocabulary_rows.check(args.tokenizer_model, source.architecture.vocab_size))
    checks = stored_bytes.of_source(args.load_dir, source)
    dtype = _dtype(args, source)
    facts: dict[str, Any] = {"source_digest": convert.source_digest(args.load_dir)}
    template = export.template_of(args.load_dir) if args.load_model_type == "mg" else None
    total = copying.payload(source, dtype)
    target = args.save_dir
    if args.save_model_type == "mg":
        mcore.check_target(target)
        iteration = 1 if args.load_model_type == "hf" else _iteration(args.load_dir)
        facts |= {"template": template} if template else {}
        convert_it = partial(convert.to_mcore, source, wanted, dtype, target, iteration=iteration)
    else:
        original, target = _hf_directories(args)
        _warn_of_changes(source, original)
        sampling = convert_flags.sampling(args)
        convert_it = partial(
            convert.to_hf, source, original, dtype, target, template=template, sampling=sampling
        )
    progress.begin(progress.BYTES, total)
    with copying.taught(target, total):
        manifest = convert_it(facts=facts, progress=progress.add, checks=checks)
    say(checks.line)
    return manifest


def _dtype(args: Namespace, source: Source) -> dtypes.DType:
    """The type to write: that of --params-dtype, or else the one that all weights have."""
    types = source.types()
    named = ", ".join(f"{one.name} ({tensor})" for one, tensor in types.items())
    if not args.params_dtype and len(types) > 1:
        raise UsageProblem(
            "the tensors are not of one type",
            where=f"{args.load_dir}; --params-dtype",
            found=named,
            wanted="the one type that the checkpoint shall have",
            fix="add --params-dtype bf16, or fp32, which holds them all exactly",
        )
    dtype = dtypes.of(args.params_dtype) if args.params_dtype else source.dtype
    if set(types) != {dtype}:
        found = named if len(types) > 1 else source.dtype.name
        say(f"weights change from {found} to {dtype.name}, as --params-dtype says")
    return dtype


def say(line: str | None) -> None:
    """A line on standard error, if there is one."""
    if line:
        print(line, file=sys.stderr, flush=True)


def _check_bias(args: Namespace, source: Source) -> None:
    """The bias is derived from config.json or the checkpoint; the flag may only agree."""
    if args.add_qkv_bias and not source.architecture.add_qkv_bias:
        raise UsageProblem(
            "the model has no bias on q, k and v",
            where="--add-qkv-bias",
            found="the flag, and a model_type (or saved args) without such biases",
            fix="drop --add-qkv-bias; Qwen2 has these biases, Llama does not",
        )
    if source.architecture.add_qkv_bias and not args.add_qkv_bias and args.save_model_type == "mg":
        say("q, k and v have biases: converted as with --add-qkv-bias, which the trainer needs too")


def _check_layout(args: Namespace, source: Source) -> None:
    """A Hugging Face directory has no layout; flags about the source's may only agree with what it is."""
    sizes = (args.target_tensor_parallel_size, args.target_pipeline_parallel_size)
    if sizes != (1, 1) or args.num_layers_per_virtual_pipeline_stage:
        raise UsageProblem(
            "a Hugging Face directory has no parallel layout",
            where="--target-tensor-parallel-size, --target-pipeline-parallel-size",
            found=f"{sizes[0]}, {sizes[1]}",
            wanted="1, 1 (or neither flag): the checkpoint's own layout is read from its files",
        )
    listed = convert_flags.numbers(args.num_layer_list, "--num-layer-list")
    held = tuple(sum(len(chunk) for chunk in stage) for stage in source.grid.stages) if source.grid else ()
    if listed and listed != held:
        raise UsageProblem(
            "the checkpoint's stages hold other numbers of layers",
            where="--num-layer-list",
            found=",".join(map(str, listed)),
            wanted=",".join(map(str, held)),
            fix="drop the flag: the list is read from the files",
        )


def _hf_directories(args: Namespace) -> tuple[Path, Path]:
    """(where config and tokenizer come from, where the model goes).

    With --hf-cfg-dir the output is --save-dir itself. Without it the reference's way: --save-dir is the
    original model, the output its subdirectory mg2hf.
    """
    if args.hf_cfg_dir:
        return args.hf_cfg_dir, args.save_dir
    if not (args.save_dir / "config.json").is_file():
        raise UsageProblem(
            "it is not said where config.json and the tokenizer come from",
            where="--hf-cfg-dir",
            found=f"not given, and no config.json in {args.save_dir}",
            wanted="the original Hugging Face model",
            fix="add --hf-cfg-dir DIR; or, as the guide does, let --save-dir be the original model:"
            " the output is then its subdirectory mg2hf",
        )
    return args.save_dir, args.save_dir / "mg2hf"


def _warn_of_changes(source: Source, original: Path) -> None:
    """Settings that no tensor shows, and that some trainers change: config.json's are kept, which may be wrong."""
    config = model_config.read(original)
    for key in ("rotary_base", "max_position_embeddings", "norm_epsilon"):
        saved, kept = getattr(source.architecture, key), getattr(config, key)
        if saved != kept:
            say(
                f"warning: the checkpoint was saved with {key} {saved:g}, {original / 'config.json'} says {kept:g},"
                " which the export keeps: edit it if the model was trained with the former"
            )


def _iteration(directory: Path) -> int:
    name = rank_files.iteration_directory(directory).name
    return int(name.removeprefix("iter_")) if name != "release" else 1
