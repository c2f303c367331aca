"""A stand-in for MindSpeed-LLM's tokenizing: its parser, and its files alone, without our rows and manifest."""

import sys
from pathlib import Path

from standin import arguments, ours

args = arguments("preprocess_data.py")
# _get_data_format and build_dataset of its mindspeed_llm/tasks/preprocess/data_handler.py
if args.input.split(".")[-1] not in ("parquet", "arrow", "csv", "json", "jsonl", "txt"):
    raise Exception("unknown local data!")
prefix = Path(args.output_prefix)
assert prefix.parent.is_dir()  # the reference makes no folder
given = sys.argv[1:]
del given[given.index("--cache-dir") : given.index("--cache-dir") + 2]
ours("preprocess_data.py", *given)
for left in prefix.parent.glob(f"{prefix.name}_*"):
    if left.suffix not in (".bin", ".idx"):
        left.unlink()
print(f"{args.workers} workers, handler {args.handler_name}", flush=True)
