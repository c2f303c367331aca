"""A stand-in for MindSpeed-LLM's generation: its parser, and its task's lines on rank 0."""

import os
import sys
from pathlib import Path

from standin import arguments

args = arguments("posttrain_gpt.py")  # the same parser
if os.environ.get("MS_ROLE") == "MS_SCHED":
    sys.exit(0)
assert (Path(args.load) / "latest_checkpointed_iteration.txt").is_file()
if int(os.environ.get("RANK_ID", 0)) == 0:
    print("\n=============== Greedy Search ================", flush=True)
    print("\nYou:\nhow are you?\n\nMindSpeed-LLM:\nI am fine.\nAnd you?", flush=True)
    print("==============================================\n\nElapsed: 1.0s", flush=True)
