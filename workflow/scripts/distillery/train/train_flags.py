"""Megatron's flags as the guide's tune script gives them: honoured, checked against config.json, or without effect."""

from __future__ import annotations

import argparse
from pathlib import Path

from distillery import lora, megatron_flags, options
from distillery.megatron_flags import option
from distillery.ranges import reader, stages, whole
from distillery.train.engine_settings import ONLY, REFUSED

TRAIN = "experiments.*.train"
# defaults of Megatron's parser where the guide's script, and with it a configuration, has others
MEGATRONS = {"lr_decay_style": "linear", "weight_decay": 0.01, "adam_beta2": 0.999}


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add all flags, in groups."""
    paths = parser.add_argument_group("files")
    paths.add_argument(
        "--load", type=Path, required=True, metavar="DIR", help="MCore checkpoint to start from"
    )
    paths.add_argument(
        "--save",
        type=Path,
        required=True,
        metavar="DIR",
        help="gets done.json, a standard MCore checkpoint and work/",
    )
    add_data(paths)
    paths.add_argument(
        "--tokenizer-name-or-path", type=Path, required=True, metavar="DIR", help="has config.json"
    )

    batch = parser.add_argument_group("batches")
    options.add(batch, "experiments.*", "seq_length")
    options.add(batch, TRAIN, "micro_batch_size")
    # as Megatron, which takes what there is; only a configuration names a number of its own
    options.add(batch, TRAIN, "global_batch_size", default=None, help="default: micro batch x data parallel")
    options.add(batch, TRAIN, "train_iters", "seed", "split")
    batch.add_argument("--no-shuffle", action="store_true", help="take rows in the order of the files")
    batch.add_argument(
        "--cut-max-seqlen", action="store_true", help="cut long rows at the end, not turn by turn"
    )
    batch.add_argument("--tokenizer-padding-side", choices=["left", "right"], default="right")
    batch.add_argument("--pack", action="store_true", help="data is packed; known from its manifest")
    batch.add_argument(
        "--neat-pack", action="store_true", help="packed with numbered samples; known likewise"
    )
    batch.add_argument("--reset-position-ids", action="store_true", help="always done for packed data")
    batch.add_argument("--prompt-type", metavar="NAME", help="must be the data's, if given")
    options.add(batch, TRAIN, "calculate_per_token_loss")

    optimizer = parser.add_argument_group("AdamW and its schedule")
    options.add(optimizer, TRAIN, "lr", "min_lr")
    # a line by hand means what it means to Megatron (MEGATRONS); a configuration's defaults are the guide's
    options.add(optimizer, TRAIN, "lr_decay_style", default=MEGATRONS["lr_decay_style"])
    optimizer.add_argument(
        "--lr-decay-iters", type=reader(whole(1)), metavar="STEPS", help="default: --train-iters"
    )
    warmup = optimizer.add_mutually_exclusive_group()
    warmup.add_argument("--lr-warmup-iters", type=reader(whole(0)), default=0, metavar="STEPS")
    options.add(warmup, TRAIN, "lr_warmup_fraction", default=None)
    options.add(optimizer, TRAIN, "weight_decay", default=MEGATRONS["weight_decay"])
    options.add(optimizer, TRAIN, "clip_grad", "adam_beta1")
    options.add(optimizer, TRAIN, "adam_beta2", default=MEGATRONS["adam_beta2"])
    options.add(optimizer, TRAIN, "adam_eps")

    adapters = parser.add_argument_group("LoRA (without --lora-target-modules all weights are trained)")
    adapters.add_argument("--lora-r", **options.of(f"{TRAIN}.lora.rank", default=None))
    adapters.add_argument("--lora-alpha", **options.of(f"{TRAIN}.lora.alpha", default=None))
    adapters.add_argument(
        "--lora-target-modules", nargs="+", choices=lora.TARGETS, help="matrices with adapters"
    )

    run = parser.add_argument_group("run")
    # by hand also 0: only at the end
    options.add(run, TRAIN, "save_interval", type=reader(whole(0)))
    options.add(run, TRAIN, "keep_checkpoints")
    run.add_argument("--log-interval", type=reader(whole(1)), default=100, metavar="STEPS")
    run.add_argument("--log-throughput", action="store_true", help="also TFLOP/s of a rank, padding included")
    options.add(run, TRAIN, "eval_interval", "eval_iters")
    options.add(
        run,
        TRAIN,
        "recompute_granularity",
        help="full: keep only each layer's input, less memory for more time (adapters: so where nothing is said); selective "
        "(attention): keep all activations but the scores, which the native kernel never keeps",
    )
    run.add_argument("--recompute-method", choices=["uniform", "block"], help="both: every layer")
    run.add_argument(
        "--recompute-num-layers", type=reader(whole(1)), metavar="N", help="no effect: every layer"
    )
    run.add_argument("--device-target", **options.of("hardware.*.device"))
    options.add(run, "hardware.*", "threads")
    run.add_argument("--kernels", choices=["auto", "native", "composed"], default="auto", help="on a CPU")
    run.add_argument(
        "--bf16", action="store_true", help="no effect on a CPU: fp32 there, stored as it was loaded"
    )
    run.add_argument("--fp16", action="store_true", help="likewise")

    parallel = parser.add_argument_group("layout, under msrun (world = TP x PP x DP)")
    for kind, metavar in (("tensor", "TP"), ("pipeline", "PP")):
        size = options.of(f"experiments.*.layout.{kind}_parallel_size", metavar=metavar)
        parallel.add_argument(f"--{kind}-model-parallel-size", **size)
    parallel.add_argument(
        "--num-layer-list", type=stages, metavar="N,N,...", help="layers of each pipeline stage"
    )
    parallel.add_argument("--use-distributed-optimizer", action="store_true", help="ZeRO-1")
    parallel.add_argument("--sequence-parallel", action="store_true", help="no effect")

    megatron_flags.add_to(parser)
    for name in REFUSED:
        parser.add_argument(option(name), nargs="+", help=argparse.SUPPRESS)
    for name, (kind, _, _) in ONLY.items():
        parser.add_argument(option(name), type=kind, help=argparse.SUPPRESS)


def add_data(paths: argparse._ActionsContainer) -> None:
    """Add the flags of what is trained on: one dataset, or a mix."""
    paths.add_argument(
        "--data-path",
        nargs="+",
        required=True,
        metavar="PREFIX",
        help="tokenized data, without _packed_...; of a mix each after its weight: 0.7 A 0.3 B",
    )
    paths.add_argument(
        "--data-epochs",
        nargs="+",
        type=reader({"type": "number", "exclusiveMinimum": 0}),
        metavar="N",
        help="instead of weights: how often a row of each dataset is seen where others are seen once",
    )
