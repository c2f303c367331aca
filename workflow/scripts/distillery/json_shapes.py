"""What stands in the JSON files that the steps leave for one another, by their names: keys that are read, and their types.

A shape is a type, a pattern that a text has in full, a `Place` in the file system, `[shape]` of a list's items, `Each(shape)`
of an object's values, `Maybe(shape)` where null may stand, or {key: shape} of an object. Keys that are not named may hold
anything; one that is missing says so when it is asked for.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Each:
    """An object of any keys."""

    shape: Any


@dataclass(frozen=True)
class Maybe:
    """Null, or the shape."""

    shape: Any


@dataclass(frozen=True)
class Place:
    """A path that Linux takes; of one part, if it is the name of a file."""

    one_part: bool = False

    def fits(self, text: str) -> bool:
        try:
            path = os.fsencode(text)
        except UnicodeEncodeError:  # half of a character
            return False
        parts = path.split(b"/")
        few = len(parts) == 1 or not self.one_part
        return 0 < len(path) < 4096 and few and b"\0" not in path and max(map(len, parts)) <= 255

    def __str__(self) -> str:
        return f"{'the name of a file' if self.one_part else 'a path'} of at most 255 bytes a part"


TEMPLATE = {
    "prompt_type": str,
    "chat_template": Maybe(str),
    "eos_token": Maybe(str),
    "eos_token_id": Maybe(int),
    "stop_token_ids": [int],
}
CRC32 = re.compile("[0-9a-f]{1,8}")
FILES = [{"name": Place(), "bytes": Maybe(int), "sha256": Maybe(str)}]
MANIFEST = {
    # of a directory of weights, or of fetched files
    "files": FILES,
    "tensors": Each(CRC32),
    "headers": Each(CRC32),
    "template": Maybe(TEMPLATE),
    "payload_digest": Maybe(str),
    "source_digest": Maybe(str),
    "iteration": int,
    # of a tokenized dataset
    "fields": [str],
    "inputs": [{"name": str, "rows": Maybe(int), "sha256": Maybe(str)}],
    "tokenizer": {"sha256": Maybe(str), "size": int, "new_tokens": [str]},
    "map_keys": Maybe(dict),
    "dropped": Each({"count": int, "rows": list}),
    "noted": dict,
    "rejected": {"count": int, "reasons": dict},
    "roles": Each(int),
    "crc32": dict,
    "options": dict,
    "handler": str,
    "split_markers": [str],
    **dict.fromkeys(("documents", "kept", "rows", "tokens", "supervised_tokens", "truncated"), int),
}
STATE = {"files": FILES, "iteration": int, "payload_digest": Maybe(str), "loss": Maybe(float)}
DONE = {
    "iteration": int,
    "checkpoint": Place(),
    "metrics": Place(),
    "key": str,
    "payload_digest": Maybe(str),
    "loss": Maybe(float),
    "best": Maybe({"iteration": int, "loss": float}),
    "template": Maybe(TEMPLATE),
}
# a line of answers, and one of their scores
ANSWER = {
    **dict.fromkeys(("id", "prompt", "text", "stop"), str),
    "sample": int,
    "tokens": list,
    "rendered_prompt": str,
}
SCORE = {
    **dict.fromkeys(("id", "problem_type", "stop", "rule"), str),
    **dict.fromkeys(("strict", "lenient", "unfinished_think", "timed_out", "crashed", "scorable"), bool),
    **dict.fromkeys(("answer", "gold", "boxed", "found"), Maybe(str)),
    "overruled": Maybe(bool),
    **dict.fromkeys(("sample", "tokens"), int),
}
# what a job used of its machine; of chips what npu-smi says
SAMPLE = {
    **dict.fromkeys(("seconds", "memory_megabytes", "cpu_percent"), float),
    "chips": [dict.fromkeys(("hbm_used", "aicore", "power", "temperature"), Maybe(float))],
    "machine": dict,
}
INDEX = {"weight_map": Each(Place(one_part=True))}
BY_ENDING = {
    "manifest.json": MANIFEST,
    "state.json": STATE,
    "done.json": DONE,
    "best.json": {"iteration": int, "loss": float},
    ".safetensors.index.json": INDEX,
}


def of(where: object) -> Any:
    """The shape of a file's content by the end of its name; none of all others."""
    return next((shape for ending, shape in BY_ENDING.items() if str(where).endswith(ending)), None)
