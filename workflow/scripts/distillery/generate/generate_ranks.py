"""The processes that answer: how many share one model, what each holds, who leads them, how many copies there are."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from distillery.convert.mcore_layout import Layout
from distillery.generate import signals, tasks
from distillery.problems import Interrupted, Problem, UsageProblem

if TYPE_CHECKING:
    from distillery.architecture import Architecture
    from distillery.engine.driver import Driver
    from distillery.engine.mesh import Mesh
    from distillery.engine.slots import Slots

FLAGS = "--tensor-model-parallel-size, --pipeline-model-parallel-size"


def check(args: argparse.Namespace) -> None:
    """The layout that the flags ask for fits the processes that were started.

    Raises:
        UsageProblem: no whole number of copies of the model, several for one question, or a chat on several processes.
    """
    tensor, pipeline = args.tensor_model_parallel_size, args.pipeline_model_parallel_size
    if min(tensor, pipeline) < 1:
        raise UsageProblem("a size below 1", where=FLAGS, found=f"TP {tensor}, PP {pipeline}")
    processes, ranks = world(), tensor * pipeline
    if processes % ranks:
        raise UsageProblem(
            "the layout does not fit the number of processes",
            where=f"{FLAGS}; launch.py --workers, msrun --worker_num",
            found=f"TP {tensor} x PP {pipeline} on {processes} process{'es' * (processes > 1)}",
            wanted=f"{ranks} processes, or a multiple: so many copies of the model share the prompts",
            fix="leave both flags out: one process merges a checkpoint of any layout; or start with launch.py"
            f" --workers {ranks} --log-dir DIR -- ...",
        )
    if processes > ranks and args.output is None and args.task != tasks.CHAT:
        raise UsageProblem(
            f"{processes // ranks} copies of the model share prompts, of a file",
            where="--prompt-file, --output",
            fix=f"give both, or start {ranks} process{'es' * (ranks > 1)}",
        )
    if processes > 1 and args.task == tasks.CHAT:
        raise UsageProblem(
            "a chat runs in one process: msrun gives its processes no terminal",
            where=f"{FLAGS}, --task chat",
            found=f"{processes} processes",
            fix="start one, and leave the sizes out; weights of any layout are merged on load",
        )


def world() -> int:
    """Processes of this job: msrun tells each of them."""
    return int(os.environ.get("MS_WORKER_NUM", 1))


def layout(args: argparse.Namespace, arch: Architecture) -> Layout:
    """How the ranks share the weights.

    Without --num-layer-list stages are as equal as they can be, the longer ones first: the last one also computes the
    logits.

    Raises:
        UsageProblem: this model cannot be shared so.
    """
    tensor, pipeline = args.tensor_model_parallel_size, args.pipeline_model_parallel_size
    arch.part(tensor, arch.num_layers)
    if pipeline == 1:
        return Layout(tensor)
    short, longer = divmod(arch.num_layers, pipeline)
    stages = tuple(short + (stage < longer) for stage in range(pipeline))
    if args.num_layer_list:
        stages = tuple(int(n) if n.isdecimal() else 0 for n in args.num_layer_list.split(","))
    if len(stages) != pipeline or sum(stages) != arch.num_layers or min(stages) < 1:
        raise UsageProblem(
            "the layers cannot be shared so by the pipeline stages",
            where="--pipeline-model-parallel-size, --num-layer-list",
            found=args.num_layer_list or f"{arch.num_layers} layers on {pipeline} stages",
            wanted=f"{pipeline} numbers of at least 1 with sum {arch.num_layers}",
            fix="correct --num-layer-list, or leave it out",
        )
    return Layout(tensor, pipeline, stages)


def join(args: argparse.Namespace) -> Mesh:
    """This process's place among all ranks."""
    from distillery.engine import mindspore_import

    mindspore_import.load(args.device)
    from distillery.engine import collectives

    return collectives.join(args.tensor_model_parallel_size, args.pipeline_model_parallel_size, args.device)


def lead(mesh: Mesh, load: Callable[[Mesh, int, int], Slots]) -> Driver | None:
    """Find the other ranks, if there are any: all wait here for one another.

    The first of each copy returns then, with a Driver of that copy; its others obey it, and return when it ends.

    Args:
        load: this rank's part of the model, of its mesh, slots and longest sequence.

    Raises:
        Problem: the first rank failed.
        Interrupted: it stopped for a signal, which this rank has as well.
    """
    from distillery.engine import driver

    first = driver.meet(mesh)
    if isinstance(first, driver.Driver):
        return first
    try:
        driver.follow(first, partial(load, mesh))
    except Problem:
        if signals.arrived(*signals.STOPS):
            raise Interrupted("stopped with the first rank", fix="run the same command again") from None
        raise
    return None
