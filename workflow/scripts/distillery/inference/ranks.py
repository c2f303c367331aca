"""The processes that share one model: how many there must be, and how the layers are dealt out."""

from __future__ import annotations

import argparse
import os

from distillery.problems import UsageProblem


def check(args: argparse.Namespace) -> None:
    """Raises:
    UsageProblem: not as many processes as the layout has ranks.
    """
    tensor, pipeline = args.tensor_model_parallel_size, args.pipeline_model_parallel_size
    flags = "--tensor-model-parallel-size, --pipeline-model-parallel-size"
    if min(tensor, pipeline) < 1:
        raise UsageProblem("a size below 1", where=flags, found=f"TP {tensor}, PP {pipeline}")
    processes, ranks = world(), tensor * pipeline
    if processes != ranks:
        raise UsageProblem(
            "the layout does not fit the number of processes",
            where=f"{flags}; launch.py --workers, msrun --worker_num",
            found=f"TP {tensor} x PP {pipeline} on {processes} process{'es' * (processes > 1)}",
            wanted=f"{ranks} process{'es' * (ranks > 1)}",
            fix="leave both flags out: one process merges a checkpoint of any layout"
            + (f"; or start with launch.py --workers {ranks} --log-dir DIR -- ..." if ranks > 1 else ""),
        )


def world() -> int:
    """Processes of this job: msrun tells each of them."""
    return int(os.environ.get("MS_WORKER_NUM", 1))
