"""What a MindSpeed-LLM worker looks like from outside: its log lines, and its ways to end.

    standin_worker.py --outcome ok|fail|hang|silent|vanish|killed|slow [--steps 5]

No mindspore is imported: msrun, or torchrun, gives each process its rank, and msrun's scheduler process has nothing to do here.
"""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--outcome", default="ok")
parser.add_argument("--steps", type=int, default=5)
parser.add_argument("--output", type=Path)
parser.add_argument("--pause", type=float, default=0.05)
parser.add_argument(
    "--late", type=float, default=0, help="seconds that every rank but the first needs to save"
)
args = parser.parse_args()
if os.environ.get("MS_ROLE") == "MS_SCHED":
    sys.exit(0)
rank = int(os.environ.get("RANK_ID", os.environ.get("RANK", 0)))
world = int(os.environ.get("MS_WORKER_NUM", os.environ.get("WORLD_SIZE", 1)))
odd = rank == min(3, world - 1)
stopped = []


def stop(number, frame):
    stopped.append(number)


if args.outcome == "slow":
    signal.signal(signal.SIGTERM, stop)
print(f"using world size: {world}, devices {os.environ.get('ASCEND_RT_VISIBLE_DEVICES')}", flush=True)
print(
    f"rank {rank} HCCL {os.environ.get('HCCL_CONNECT_TIMEOUT')} port {os.environ.get('MS_SCHED_PORT')}",
    flush=True,
)
for step in range(1, args.steps + 1):
    time.sleep(args.pause)
    if rank == world - 1:
        print(
            f" [2025-09-01 12:00:{step:02d}] iteration {step:8d}/{args.steps:8d} | consumed samples: {step * 64:12d} |"
            f" elapsed time per iteration (ms): {1000 * args.pause:.1f} | throughput per GPU (TFLOP/s/GPU): 123.4 |"
            f" learning rate: {6.25e-8 * step:.6E} | global batch size: {64:5d} | lm loss: {1 / step:.6E} |"
            " loss scale: 1.0 | grad norm: 1.234 | number of skipped iterations:   0 | number of nan iterations:   0 |",
            flush=True,
        )
    if step == 1 and world > 1:
        print(
            f"[Rank {rank}] (after 1 iterations) memory (MB) | allocated: 100.5 | max allocated: {200 + rank}.0"
            " | reserved: 300.0 | max reserved: 300.0",
            flush=True,
        )
    if stopped:
        time.sleep(args.late if rank else 0)
        print(f"saved checkpoint at iteration {step}", flush=True)
        sys.exit(3)
    if step == 2 and odd:
        if args.outcome == "fail":
            raise RuntimeError("HCCL AllReduce failed: the link of device 3 is down")
        if args.outcome == "silent":
            os._exit(7)
        if args.outcome == "vanish":
            os._exit(0)
        if args.outcome == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
    if step == 2 and args.outcome == "hang":
        time.sleep(1000)
if args.output and rank == 0:
    args.output.write_text("whole\n")
