"""Megatron's flags as the guide's tune script gives them: honoured, checked against config.json, or without effect."""

from __future__ import annotations

import argparse
from pathlib import Path

from distillery import megatron_flags
from distillery.megatron_flags import option
from distillery.ranges import number, reader, stages, whole
from distillery.train.engine_settings import ONLY, REFUSED


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
    paths.add_argument(
        "--data-path", type=Path, required=True, metavar="PREFIX", help="tokenized data, without _packed_..."
    )
    paths.add_argument(
        "--tokenizer-name-or-path", type=Path, required=True, metavar="DIR", help="has config.json"
    )

    batch = parser.add_argument_group("batches")
    batch.add_argument("--seq-length", type=reader(whole(1)), required=True, metavar="TOKENS")
    batch.add_argument("--micro-batch-size", type=reader(whole(1)), default=1, metavar="ROWS")
    batch.add_argument(
        "--global-batch-size",
        type=reader(whole(1)),
        metavar="ROWS",
        help="default: micro batch x data parallel",
    )
    batch.add_argument("--train-iters", type=reader(whole(1)), required=True, metavar="STEPS")
    batch.add_argument(
        "--seed", type=reader(whole(0, 2**32 - 1)), default=1234, help="of the data order (default 1234)"
    )
    batch.add_argument(
        "--split", default="100,0,0", help="shares of training, evaluation, test (default 100,0,0)"
    )
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
    batch.add_argument(
        "--calculate-per-token-loss",
        action="store_true",
        help="every token of a global batch weighs the same, not every micro-batch",
    )

    optimizer = parser.add_argument_group("AdamW and its schedule")
    optimizer.add_argument("--lr", type=reader(number()), required=True)
    optimizer.add_argument("--min-lr", type=reader(number()), default=0.0)
    optimizer.add_argument("--lr-decay-style", choices=["constant", "linear", "cosine"], default="linear")
    optimizer.add_argument(
        "--lr-decay-iters", type=reader(whole(1)), metavar="STEPS", help="default: --train-iters"
    )
    warmup = optimizer.add_mutually_exclusive_group()
    warmup.add_argument("--lr-warmup-iters", type=reader(whole(0)), default=0, metavar="STEPS")
    warmup.add_argument(
        "--lr-warmup-fraction", type=reader(number(below=1)), metavar="SHARE", help="of the decay steps"
    )
    optimizer.add_argument(
        "--weight-decay", type=reader(number()), default=0.01, help="on matrices only (default 0.01)"
    )
    optimizer.add_argument(
        "--clip-grad", type=reader(number()), default=1.0, metavar="NORM", help="0: no clipping (default 1)"
    )
    optimizer.add_argument("--adam-beta1", type=reader(number(below=1)), default=0.9)
    optimizer.add_argument("--adam-beta2", type=reader(number(below=1)), default=0.999)
    optimizer.add_argument("--adam-eps", type=reader(number()), default=1e-8)

    run = parser.add_argument_group("run")
    run.add_argument(
        "--save-interval", type=reader(whole(0)), default=0, metavar="STEPS", help="0: only at the end"
    )
    run.add_argument(
        "--keep-checkpoints",
        type=reader(whole(1)),
        default=2,
        metavar="N",
        help="latest ones kept (default 2)",
    )
    run.add_argument("--log-interval", type=reader(whole(1)), default=100, metavar="STEPS")
    run.add_argument("--log-throughput", action="store_true", help="also TFLOP/s of a rank, padding included")
    run.add_argument(
        "--eval-interval",
        type=reader(whole(0)),
        default=1000,
        metavar="STEPS",
        help="0: never (default 1000); else also after the last step",
    )
    run.add_argument(
        "--eval-iters",
        type=reader(whole(0)),
        default=100,
        metavar="STEPS",
        help="global batches (default 100)",
    )
    run.add_argument(
        "--recompute-granularity",
        choices=["full", "selective"],
        help="full: keep only each layer's input, less memory for more time; selective (attention): no effect, its "
        "native kernel keeps no scores",
    )
    run.add_argument("--recompute-method", choices=["uniform", "block"], help="both: every layer")
    run.add_argument(
        "--recompute-num-layers", type=reader(whole(1)), metavar="N", help="no effect: every layer"
    )
    run.add_argument("--device-target", choices=["CPU", "Ascend"], default="CPU")
    run.add_argument(
        "--threads",
        type=reader(whole(1)),
        default=2,
        metavar="N",
        help="CPU threads of the engine (default 2)",
    )
    run.add_argument("--kernels", choices=["auto", "native", "composed"], default="auto", help="on a CPU")
    run.add_argument(
        "--bf16", action="store_true", help="no effect on a CPU: fp32 there, stored as it was loaded"
    )
    run.add_argument("--fp16", action="store_true", help="likewise")

    parallel = parser.add_argument_group("layout, under msrun (world = TP x PP x DP)")
    parallel.add_argument("--tensor-model-parallel-size", type=reader(whole(1)), default=1, metavar="TP")
    parallel.add_argument("--pipeline-model-parallel-size", type=reader(whole(1)), default=1, metavar="PP")
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
