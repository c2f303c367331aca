"""The converter's flags: what the guide's table says that does not work gets a taught error, before a file is opened."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace

from distillery import options
from distillery.convert.mcore_layout import Layout
from distillery.problems import UsageProblem

SAMPLING = ("temperature", "top_k", "top_p")


def check(args: Namespace) -> None:
    """Refuse what can be seen to fail without a look at the weights.

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
    if args.save_model_type == "mg" and sampling(args):
        wrong(
            "an MCore checkpoint has no sampling defaults",
            " ".join(f"--{name.replace('_', '-')}" for name in sampling(args)),
            "given",
            "--save-model-type hf, whose generation_config.json holds them",
            "give them when the model is exported",
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


def add_sampling(parser: ArgumentParser) -> None:
    """The flags of SAMPLING."""
    for name in SAMPLING:
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=options.number(f"experiments.*.generate.{name}"),
            metavar="X",
            help="to hf: a default of generation_config.json",
        )


def sampling(args: Namespace) -> dict[str, float]:
    """What is given of SAMPLING, which may be nothing."""
    return {name: value for name in SAMPLING if (value := getattr(args, name)) is not None}


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
