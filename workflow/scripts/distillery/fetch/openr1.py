"""The parquet files every dataset source ends in: OpenR1-Math-220k shards and problem sets.

The schema is that of open-r1/OpenR1-Math-220k (dataset card, `default` config): messages is a list of
struct<content, role>, content first. The writer's options are fixed and no pandas or Arrow schema is
embedded, so that the same rows give the same bytes.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from distillery import arrow_arrays, digests
from distillery.marks import END_THINK, THINK

SHARD_SCHEMA = pa.schema(
    [
        ("problem", pa.string()),
        ("solution", pa.string()),
        ("answer", pa.string()),
        ("problem_type", pa.string()),
        ("question_type", pa.string()),
        ("source", pa.string()),
        ("uuid", pa.string()),
        ("is_reasoning_complete", pa.list_(pa.bool_())),
        ("generations", pa.list_(pa.string())),
        ("correctness_math_verify", pa.list_(pa.bool_())),
        ("correctness_llama", pa.list_(pa.bool_())),
        ("finish_reasons", pa.list_(pa.string())),
        ("correctness_count", pa.int64()),
        ("messages", pa.list_(pa.struct([("content", pa.string()), ("role", pa.string())]))),
    ]
)
PROBLEM_SCHEMA = pa.schema([(name, pa.string()) for name in ("uuid", "problem", "answer", "problem_type")])
QUESTION_SCHEMA = pa.schema([*PROBLEM_SCHEMA, ("source", pa.string())])
ROW_GROUP_ROWS = 1000  # as the hub's own writer does, so that readers stream


def identifier(*parts: object) -> str:
    """A UUID that is a function of its parts (RFC 9562 version 5)."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "distillery:" + "/".join(str(part) for part in parts)))


def row(
    identity: str,
    problem: str,
    solution: str,
    answer: str,
    *,
    reasoning: str,
    final: str,
    problem_type: str,
    source: str,
    verified: bool = True,
) -> dict[str, Any]:
    """One row with one correct generation: `<think>`, reasoning, `</think>`, final text with the box.

    `verified` says whether math-verify can confirm the answer; the answer is right in any case.
    """
    generation = f"{THINK}\n{reasoning}\n{END_THINK}\n\n{final}"
    return {
        "problem": problem,
        "solution": solution,
        "answer": answer,
        "problem_type": problem_type,
        "question_type": "math-word-problem",
        "source": source,
        "uuid": identity,
        "is_reasoning_complete": [True],
        "generations": [generation],
        "correctness_math_verify": [verified],
        "correctness_llama": None,
        "finish_reasons": None,
        "correctness_count": int(verified),
        "messages": [
            {"content": problem, "role": "user"},
            {"content": generation, "role": "assistant"},
        ],
    }


def sampled_row(
    problem: Mapping[str, str], answers: Sequence[Mapping[str, Any]], message: str
) -> dict[str, Any]:
    """One row of answers that a model gave, of which one is learnt; of a written solution nothing is known.

    Args:
        problem: uuid, problem, answer, problem_type, source.
        answers: `text` with its thoughts in tags, `complete` (they are closed), `right`, `finish` (stop or length).
        message: the answer that is learnt.
    """
    right = [one["right"] for one in answers]
    return {
        **{name: problem[name] for name in ("problem", "answer", "problem_type", "source", "uuid")},
        "solution": None,
        "question_type": "math-word-problem",
        "is_reasoning_complete": [one["complete"] for one in answers],
        "generations": [one["text"] for one in answers],
        "correctness_math_verify": right,
        "correctness_llama": None,
        "finish_reasons": [one["finish"] for one in answers],
        "correctness_count": sum(right),
        "messages": [
            {"content": problem["problem"], "role": "user"},
            {"content": message, "role": "assistant"},
        ],
    }


def write(rows: Iterable[dict[str, Any]], schema: pa.Schema, output: Path) -> int:
    """Write rows as one zstd parquet file, atomically; returns their number."""
    table = arrow_arrays.table(list(rows), schema)
    with digests.atomic(output) as partial:
        pq.write_table(
            table,
            partial,
            compression="zstd",
            compression_level=9,
            row_group_size=ROW_GROUP_ROWS,
            store_schema=False,
        )
    return table.num_rows
