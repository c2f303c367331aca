"""Stands in for vLLM's server of this name: its flags, its paths, a process of its own beside it, and answers of no model.

What it was started with, and each seed that it was asked for, go to the folder that STANDIN_LOG names.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import tokenizers

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from llm_server import LlmServer

parser = argparse.ArgumentParser(allow_abbrev=False)
for flag in ("--model", "--served-model-name", "--host"):
    parser.add_argument(flag, required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--tensor-parallel-size", type=int, default=1)
parser.add_argument("--seconds", type=float, default=0)
parser.add_argument("--fail", action="store_true")
args = parser.parse_args()
if args.fail:
    raise ValueError("no room for the cache")
tokenizer = tokenizers.Tokenizer.from_file(f"{args.model}/tokenizer.json")
# as vLLM's engine is: another process, here in another session too
core = subprocess.Popen(["sleep", "600"], start_new_session=True)
folder = Path(os.environ["STANDIN_LOG"])
with LlmServer(
    tokenizer, args.served_model_name, stop=tokenizer.token_to_id("<|im_end|>"), port=args.port
) as server:
    server.seconds = args.seconds
    visible = os.environ.get("ASCEND_RT_VISIBLE_DEVICES")
    facts = {"devices": visible, "size": args.tensor_parallel_size, "pids": [os.getpid(), core.pid]}
    (folder / f"{args.port}.json").write_text(json.dumps(facts))
    shown = 0
    while True:
        time.sleep(0.02)
        with (folder / f"{args.port}.seeds").open("a") as stream:
            for body in server.asked[shown:]:
                stream.write(f"{body.get('seed')} {body['max_tokens']}\n")
                shown += 1
