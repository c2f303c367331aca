"""A trace as lines for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

SHOWN = 5  # rows; --rows writes all
TEXT = 200  # characters of a prompt or an answer


def backward(traced: dict[str, Any]) -> Iterator[str]:
    """Of an answer: what it is, then weights, training, shards and first rows of each stage."""
    answer = traced["answer"]
    verdict = {True: "right", False: "wrong", None: "not scored"}[answer["right"]]
    yield f"answer    {answer['id']}, sample {answer['sample']}: {verdict}, {answer['tokens']} tokens, stopped by {answer['stop']}"
    yield f"  file    {answer['file']}, line {answer['line']}"
    yield f"  prompt  {_short(answer['prompt'])}"
    yield f"  text    {_short(answer['text'])}"
    yield f"  seed    {answer['seed']}"
    for one in traced["trainings"]:
        yield f"weights   {one['weights']}, sha256 {one['weights_digest']}"
        yield f"training  {one['key']} of {one['experiment']}, to step {one['step']}: {one['samples']} samples, seed {one['settings']['seed']}, data {one['data']}"
        yield f"  from    {one['started_from']['checkpoint']}, of {one['started_from']['model']}"
        for shard in one["shards"]:
            yield f"  shard   {shard['dataset']}/{shard['name']}: {shard['rows']} rows, sha256 {shard['sha256']}"
        for row in one["rows"]:
            yield f"  step {row['step']}  {row['dataset']}/{row['shard']}, row {row['row']}, {row['uuid']}"
        if one["samples"] > SHOWN:
            yield f"  ...     and {one['samples'] - SHOWN} samples more; --rows FILE.jsonl writes all"


def forward(found: dict[str, Any]) -> Iterator[str]:
    """Of a row: a line for each place that has it, for each experiment that learned through another, and for each of which nothing tells."""
    for name, rows in found["rows"].items():
        for row in rows:
            steps = ", ".join(map(str, islice(row["steps"], 10))) + (
                f", ... ({len(row['steps'])} in all)" if len(row["steps"]) > 10 else ""
            )
            said = (
                f"trained at step {steps}"
                if row["steps"]
                else "held out"
                if row["held_out"]
                else "not reached before training ended"
            )
            yield f"{name}: {row['dataset']}/{row['shard']}, row {row['row']}: {said}"
    for name, how in found["through"].items():
        yield f"{name}: {how}"
    for name, why in found["untold"].items():
        yield f"{name}: cannot tell: {why}"


def _short(text: Any) -> str:
    said = json.dumps(text, ensure_ascii=False)
    return said if len(said) <= TEXT else f"{said[:TEXT]} … ({len(said)} characters)"
