"""What the flags and the data's manifest choose: the engine's settings, or a refusal of what it would ignore."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from distillery import lora, megatron_flags, schema
from distillery.lora import TARGETS, Lora
from distillery.megatron_flags import option
from distillery.problems import UsageProblem

if TYPE_CHECKING:
    from distillery.architecture import Architecture
    from distillery.engine.train_settings import Settings
    from distillery.train.tokenized_data import Data

# would change the result, and this engine cannot do it; what to do instead
REFUSED = {
    "noop_layers": "convert the weights without empty layers; stages of unequal size need --num-layer-list only",
    "context_parallel_size": "lower --seq-length, or spread the model with TP and PP",
    "num_layers_per_virtual_pipeline_stage": "use plain stages (--pipeline-model-parallel-size)",
}
ELSEWHERE = "leave it out, or set the experiment's engine to mindspeed-llm"
# flag: its type, the one value that this engine knows, what to do instead
ONLY = {
    "attention_dropout": (float, 0.0, ELSEWHERE),
    "hidden_dropout": (float, 0.0, ELSEWHERE),
    "stage": (str, "sft", ELSEWHERE),
}


def check(args: argparse.Namespace, arch: Architecture) -> None:
    """Compare the flags with config.json and with what this engine does.

    Raises:
        UsageProblem: a flag contradicts the one, or asks for more than the other.
    """
    for name, fix in REFUSED.items():
        given = getattr(args, name)
        if given not in (None, ["1"]):  # one rank or stage is what there is
            raise UsageProblem(
                "the built-in engine does not have this", where=option(name), found=" ".join(given), fix=fix
            )
    for name, (_, holds, fix) in ONLY.items():
        given = getattr(args, name)
        if given not in (None, holds):
            raise UsageProblem(
                "the built-in engine does not have this",
                where=option(name),
                found=given,
                wanted=holds,
                fix=fix,
            )
    megatron_flags.check(args, arch)
    longest, key = arch.context
    if args.seq_length > longest:
        raise UsageProblem(
            "rows longer than the model's context",
            where="--seq-length",
            found=args.seq_length,
            wanted=f"at most {key} = {longest} of config.json",
            fix=f"lower --seq-length, or raise {key} in the model's config.json on purpose",
        )


def settings(args: argparse.Namespace, data: Data, data_parallel: int) -> Settings:
    """The flags and the data's manifest as the engine's settings.

    Raises:
        UsageProblem: flags that contradict each other or the data.
    """
    from distillery.engine.train_settings import Schedule, Settings

    _check_data_flags(args, data)
    decay_steps = args.lr_decay_iters or args.train_iters
    fraction = args.lr_warmup_fraction
    warmup = args.lr_warmup_iters if fraction is None else fraction * decay_steps
    if warmup >= decay_steps or args.min_lr > args.lr:
        raise UsageProblem(
            "the learning rate has no room to decay",
            where="--lr-warmup-iters, --lr-warmup-fraction, --lr, --min-lr",
            found=f"{warmup:g} of {decay_steps} steps are warm-up, from {args.lr} down to {args.min_lr}",
            wanted="a warm-up shorter than the decay, min-lr at most lr",
        )
    template, adapted = data.manifest["template"], adapters(args)
    return Settings(
        seq_length=args.seq_length,
        micro_batch_size=args.micro_batch_size,
        global_batch_size=_global_batch(args, data_parallel),
        train_iters=args.train_iters,
        schedule=Schedule(args.lr, args.min_lr, args.lr_decay_style, warmup, decay_steps),
        weight_decay=args.weight_decay,
        clip_grad=args.clip_grad,
        beta1=args.adam_beta1,
        beta2=args.adam_beta2,
        eps=args.adam_eps,
        seed=args.seed,
        split=shares(args.split),
        packing=data.packing,
        eos_token_id=template["eos_token_id"] if template else None,
        cut_plainly=args.cut_max_seqlen,
        pad_left=args.tokenizer_padding_side == "left",
        shuffle=not args.no_shuffle,
        per_token_loss=args.calculate_per_token_loss,
        recompute=lora.recomputes(args.recompute_granularity, adapted is not None),
        lora=adapted,
    )


def adapters(args: argparse.Namespace) -> Lora | None:
    """The adapters that flags ask for, as in MindSpeed-LLM: those that name modules.

    Raises:
        UsageProblem: the model is cut over ranks, or the optimizer's state is.
    """
    if not args.lora_target_modules:
        for name in ("lora_r", "lora_alpha"):
            if getattr(args, name) is not None:
                raise UsageProblem(
                    "adapters of no module",
                    where=option(name),
                    found=getattr(args, name),
                    wanted="--lora-target-modules beside it",
                    fix=f"add --lora-target-modules {' '.join(TARGETS)}, or leave {option(name)} out",
                )
        return None
    cut = {
        name: getattr(args, name)
        for name in ("tensor_model_parallel_size", "pipeline_model_parallel_size")
        if getattr(args, name) > 1
    }
    if cut or args.use_distributed_optimizer:
        raise UsageProblem(
            "the built-in engine trains adapters of a whole model only",
            where="--lora-target-modules",
            found=", ".join(f"{option(name)} {size}" for name, size in cut.items())
            or "--use-distributed-optimizer",
            wanted="TP1, PP1, the optimizer's state whole on each rank",
            fix="leave these flags out: data-parallel ranks share a batch, and adapters need little memory",
        )
    section = "experiments.*.train.lora"
    said = {"rank": args.lora_r, "alpha": args.lora_alpha, "targets": args.lora_target_modules}
    return lora.of({k: schema.default(f"{section}.{k}") if v is None else v for k, v in said.items()})


def _global_batch(args: argparse.Namespace, data_parallel: int) -> int:
    """--global-batch-size, by default one micro-batch a data-parallel rank.

    Raises:
        UsageProblem: it is not a multiple of micro batch x data parallel.
    """
    unit = args.micro_batch_size * data_parallel
    size = args.global_batch_size or unit
    if size % unit:
        raise UsageProblem(
            "the global batch cannot be cut into micro-batches",
            where="--global-batch-size, --micro-batch-size",
            found=f"{size} rows, {args.micro_batch_size} a micro-batch, {data_parallel} data-parallel ranks",
            wanted=f"a multiple of {unit}",
            fix=f"use --global-batch-size {-(-size // unit) * unit}",
        )
    return size


def shares(text: str) -> tuple[float, float, float]:
    """--split as numbers.

    Raises:
        UsageProblem: not three shares of which the first is above 0.
    """
    try:
        first, second, third = (float(part) for part in text.split(","))
        if min(first, second, third) < 0 or first <= 0:
            raise ValueError
    except ValueError:
        raise UsageProblem(
            "not three shares",
            where="--split",
            found=text,
            wanted="such as 95,5,0: training, evaluation, test",
        ) from None
    return first, second, third


def _check_data_flags(args: argparse.Namespace, data: Data) -> None:
    options, template = data.manifest["options"], data.manifest["template"]
    for flag, given, holds in [
        ("--pack", args.pack, options["pack"]),
        ("--neat-pack", args.neat_pack, options["neat_pack"]),
        ("--prompt-type", args.prompt_type, template and template["prompt_type"]),
    ]:
        if given and given != holds:
            raise UsageProblem(
                "a flag contradicts the tokenized data",
                where=f"{flag}, {' '.join(args.data_path)}",
                found=given,
                wanted=holds,
                fix=f"leave {flag} out, or tokenize again with it",
            )
    if options["pack"] and options["seq_length"] != args.seq_length:
        raise UsageProblem(
            "the data was packed to another length",
            where=f"--seq-length, {' '.join(args.data_path)}",
            found=args.seq_length,
            wanted=options["seq_length"],
            fix=f"use --seq-length {options['seq_length']}, or tokenize again",
        )
