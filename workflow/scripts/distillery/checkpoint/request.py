"""The converter's flags, understood: which direction, which layout, and a taught error for what misleads."""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from distillery.checkpoint import (
    convert,
    copying,
    dtypes,
    export,
    integrity,
    mcore,
    ranks,
    sources,
    vocabulary,
)
from distillery.checkpoint.layout import Layout
from distillery.checkpoint.sources import Source
from distillery.problems import UsageProblem


def run(args: Namespace, progress: Callable[[int], Any] = lambda total: lambda count: None) -> dict[str, Any]:
    """Do what convert_ckpt.py's flags ask; returns the manifest of the output.

    Args:
        progress: called with the bytes to come, returns what is called with bytes done.

    Raises:
        UsageProblem, Problem: as `check` and `convert` say; nothing is left behind.
    """
    check(args)
    if args.load_model_type == "hf":
        source = sources.open_hf(args.load_dir)
    else:
        source = sources.open_mcore(args.load_dir)
    _check_bias(args, source)
    wanted = layout(args)
    if args.save_model_type == "mg":
        wanted.grid(source.architecture)
    else:
        _check_layout(args, source)
    if args.tokenizer_model:
        say(vocabulary.check(args.tokenizer_model, source.architecture.vocab_size))
    checks = integrity.of_manifest(args.load_dir) if source.grid is None else integrity.of_storages(source)
    dtype = dtypes.of(args.params_dtype) if args.params_dtype else source.dtype
    if dtype != source.dtype:
        say(f"weights change from {source.dtype.name} to {dtype.name}, as --params-dtype says")
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
        convert_it = partial(convert.to_hf, source, original, dtype, target, template=template)
    with copying.taught(target, total):
        manifest = convert_it(facts=facts, progress=progress(total), checks=checks.calls)
    say(checks.line)
    return manifest


def say(line: str | None) -> None:
    if line:
        print(line, file=sys.stderr, flush=True)


def check(args: Namespace) -> None:
    """What the guide's table says that does not work, answered before a file is opened.

    Raises:
        UsageProblem: a flag is missing, has a value that misleads, or contradicts another.
    """
    for problem in _misleading(args):
        raise problem
    load, save = args.load_dir.resolve(), args.save_dir.resolve()
    same = (
        load == save or args.save_model_type == "mg" and args.hf_cfg_dir and args.hf_cfg_dir.resolve() == save
    )
    if same or load in save.parents and args.load_model_type == "mg" and save.name.startswith("iter_"):
        raise UsageProblem(
            "input and output are the same directory",
            where="--load-dir, --save-dir",
            found=load,
            fix="give --save-dir a directory of its own",
        )


def _misleading(args: Namespace) -> list[UsageProblem]:
    found = []

    def wrong(what: str, where: str, value: object, wanted: str, fix: str) -> None:
        found.append(UsageProblem(what, where=where, found=value, wanted=wanted, fix=fix))

    if not args.use_mcore_models:
        wrong(
            "only Megatron-core models are written and read",
            "--use-mcore-models",
            "not given",
            "the flag",
            "add --use-mcore-models; the legacy format has no place in trainer or generator",
        )
    if args.model_type != "GPT":
        wrong(
            "only decoder models are converted",
            "--model-type",
            args.model_type,
            "GPT (Qwen2 and Llama are GPT models to Megatron; the guide's BERT has no converter)",
            "--model-type GPT",
        )
    for flag, value in [
        ("--load-model-type", args.load_model_type),
        ("--save-model-type", args.save_model_type),
    ]:
        if value not in ("hf", "mg"):
            wrong(
                "no such checkpoint type",
                flag,
                value,
                "hf or mg",
                f"for an MCore checkpoint write {flag} mg: `megatron` in the guide's table is not a choice",
            )
    if (args.load_model_type, args.save_model_type) == ("hf", "hf"):
        wrong(
            "nothing to convert",
            "--load-model-type, --save-model-type",
            "hf, hf",
            "hf to mg, mg to hf or mg to mg",
            "copy the directory",
        )
    if args.model_type_hf != "llama2":
        wrong(
            "no such mapping",
            "--model-type-hf",
            args.model_type_hf,
            "llama2",
            "keep llama2, also for Qwen2 and Qwen2.5: they are Llama with a bias on q, k and v;"
            " which of them it is comes from config.json",
        )
    return found


def layout(args: Namespace) -> Layout:
    """The target layout of the flags."""
    return Layout(
        args.target_tensor_parallel_size,
        args.target_pipeline_parallel_size,
        numbers(args.num_layer_list, "--num-layer-list"),
        args.num_layers_per_virtual_pipeline_stage,
        numbers(args.noop_layers, "--noop-layers") or (),
        args.make_vocab_size_divisible_by,
    )


def numbers(words: list[str] | None, flag: str) -> tuple[int, ...] | None:
    """`["1,", "3"]` as (1, 3): the reference's own script comment writes spaces.

    Raises:
        UsageProblem: something else than digits, commas and spaces.
    """
    if not words:
        return None
    parts = [part for part in re.split(r"[,\s]+", " ".join(words)) if part]
    if not all(part.isdecimal() for part in parts):
        raise UsageProblem(
            "not a list of numbers", where=flag, found=" ".join(words), wanted="such as 11,13,19,21"
        )
    return tuple(map(int, parts))


def _check_bias(args: Namespace, source: Source) -> None:
    """The bias is derived from config.json or the checkpoint; the flag may only agree."""
    if args.add_qkv_bias and not source.architecture.qkv_bias:
        raise UsageProblem(
            "the model has no bias on q, k and v",
            where="--add-qkv-bias",
            found="the flag, and a model_type (or saved args) without such biases",
            fix="drop --add-qkv-bias; Qwen2 has these biases, Llama does not",
        )
    if source.architecture.qkv_bias and not args.add_qkv_bias and args.save_model_type == "mg":
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
    listed = numbers(args.num_layer_list, "--num-layer-list")
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


def _iteration(directory: Path) -> int:
    name = ranks.iteration_directory(directory).name
    return int(name.removeprefix("iter_")) if name != "release" else 1
