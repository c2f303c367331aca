"""What the flags and the data's manifest choose: the engine's settings."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from distillery.problems import UsageProblem
from distillery.train import train_flags

if TYPE_CHECKING:
    from distillery.engine.train_settings import Settings
    from distillery.train.tokenized_data import Data


def settings(args: argparse.Namespace, data: Data, data_parallel: int) -> Settings:
    """The flags and the data's manifest as the engine's settings.

    Raises:
        UsageProblem: flags that contradict each other or the data.
    """
    from distillery.engine.learning_rate import Schedule
    from distillery.engine.train_settings import Settings

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
    template = data.manifest["template"]
    return Settings(
        seq_length=args.seq_length,
        micro_batch_size=args.micro_batch_size,
        global_batch_size=train_flags.global_batch(args, data_parallel),
        train_iters=args.train_iters,
        schedule=Schedule(args.lr, args.min_lr, args.lr_decay_style, warmup, decay_steps),
        weight_decay=args.weight_decay,
        clip_grad=args.clip_grad,
        beta1=args.adam_beta1,
        beta2=args.adam_beta2,
        eps=args.adam_eps,
        seed=args.seed,
        split=_shares(args.split),
        packing=data.packing,
        eos_token_id=template["eos_token_id"] if template else None,
        cut_plainly=args.cut_max_seqlen,
        pad_left=args.tokenizer_padding_side == "left",
        shuffle=not args.no_shuffle,
        per_token_loss=args.calculate_per_token_loss,
        recompute=args.recompute_granularity == "full",
    )


def _shares(text: str) -> tuple[float, float, float]:
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
                where=f"{flag}, {args.data_path}",
                found=given,
                wanted=holds,
                fix=f"leave {flag} out, or tokenize again with it",
            )
    if options["pack"] and options["seq_length"] != args.seq_length:
        raise UsageProblem(
            "the data was packed to another length",
            where=f"--seq-length, {args.data_path}",
            found=args.seq_length,
            wanted=options["seq_length"],
            fix=f"use --seq-length {options['seq_length']}, or tokenize again",
        )
