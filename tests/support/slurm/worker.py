"""Counts seconds, and writes down where and when it ran: worker.py SECONDS [--resume STATE].

With --resume it saves its count on SIGTERM, exits 3, and goes on from there the next time, at ten times the pace.
"""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("seconds", type=int)
parser.add_argument("--resume", type=Path)
args = parser.parse_args()
if os.environ.get("MS_ROLE") == "MS_SCHED":
    sys.exit(0)
stopped = []
signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
began, count, pause = time.time(), 0, 1.0
if args.resume and args.resume.exists():
    count, pause = int(args.resume.read_text()), 0.1
print("from", count, flush=True)
while count < args.seconds:
    time.sleep(pause)
    count += 1
    if stopped and args.resume:
        args.resume.write_text(str(count))
        sys.exit(3)
record = {
    "node": os.environ["SLURMD_NODENAME"],
    "rank": os.environ.get("RANK_ID"),
    "devices": os.environ["ASCEND_RT_VISIBLE_DEVICES"],
    "began": began,
    "ended": time.time(),
}
print(json.dumps(record), flush=True)
