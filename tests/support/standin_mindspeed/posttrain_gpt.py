"""A stand-in for MindSpeed-LLM's trainer.

It has its parser, its log lines, and its checkpoint files as MSAdapter saves them; the weights stay as they are.
The parser is built from the facts about the reference's own, so that a line it takes is one the reference takes.
"""

import os
import signal
import sys
import time
from pathlib import Path

from standin import arguments

args = arguments("posttrain_gpt.py")
if os.environ.get("MS_ROLE") == "MS_SCHED":
    sys.exit(0)

import msadapter  # noqa: E402

from distillery.convert import states  # noqa: E402
from distillery.convert.mcore_layout import rank_directory  # noqa: E402

rank, world = int(os.environ.get("RANK_ID", 0)), int(os.environ.get("MS_WORKER_NUM", 1))
stopped = []
signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
load, save = Path(args.load), Path(args.save)
assert load.is_absolute() and save.is_absolute()
tracked = (load / "latest_checkpointed_iteration.txt").read_text()
first = 0 if args.finetune else int(tracked)
assert args.finetune == args.no_load_optim
# Megatron's order of ranks: tensor, then data, then pipeline
tensor, stages = args.tensor_model_parallel_size, args.pipeline_model_parallel_size
replicas = world // (tensor * stages)
assert tensor * replicas * stages == world
place = (rank % tensor, rank // (tensor * replicas))
state, _ = states.load_rank(load, *place)


def checkpoint(step):
    if rank // tensor % replicas == 0:
        folder = save / f"iter_{step:07d}" / rank_directory(*place, stages)
        msadapter.save_rank(folder, state, args, step)
    together(f"{step}-saved")
    if rank == 0:
        (save / "latest_checkpointed_iteration.txt").write_text(str(step))
    print(f"  successfully saved checkpoint from iteration {step:7d} to {save}", flush=True)


meeting = save.with_name(f".{save.name}.meeting")
meeting.mkdir(parents=True, exist_ok=True)


def together(step):
    """Wait for all ranks at this step, as collectives do; true if any of them was told to stop."""
    own = meeting / f"{first}-{step}.{rank}"
    own.with_suffix(".new" + own.suffix).write_text("stop" if stopped else "go")
    own.with_suffix(".new" + own.suffix).rename(own)
    others = [meeting / f"{first}-{step}.{other}" for other in range(world)]
    while not all(other.exists() for other in others):
        time.sleep(0.002)
    return any(other.read_text() == "stop" for other in others)


for step in range(first + 1, args.train_iters + 1):
    time.sleep(float(os.environ.get("STEP_SECONDS", "0.01")))
    if rank == world - 1:
        print(
            f" [2025-09-01 12:00:00] iteration {step:8d}/{args.train_iters:8d} | consumed samples: "
            f"{step * args.global_batch_size:12d} | elapsed time per iteration (ms): 10.0 | learning rate: "
            f"{args.lr:.6E} | global batch size: {args.global_batch_size:5d} | lm loss: {1 / step:.6E} | loss scale: "
            "1.0 | grad norm: 1.234 | number of skipped iterations:   0 | number of nan iterations:   0 |",
            flush=True,
        )
    stop = together(step)
    if stop or step == args.train_iters or step % args.save_interval == 0:
        checkpoint(step)
    if stop:
        # Slurm and the launcher both say it; real steps are longer than the time between
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(0)
