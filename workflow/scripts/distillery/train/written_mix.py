"""A mix written as one indexed dataset, for MindSpeed-LLM's post-training, which reads a single one.

Its sequences are the samples that the built-in engine would take, in their order, and behind them the rows that `split` holds
out. So both engines see the same rows as often: MindSpeed-LLM shuffles them anew, and its --split is their two numbers.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distillery.engine.mixture import course
from distillery.problems import UsageProblem
from distillery.tokenize.dataset_files import PACKED_STEMS, DatasetFiles, hidden
from distillery.tokenize.indexed import Index
from distillery.train import engine_settings, mixed_data
from distillery.train.tokenized_data import Data

SUMMED = ("rows", "kept", "truncated")


@dataclass(frozen=True)
class Drawn:
    """What decides which rows are taken: training's settings of the same names."""

    split: tuple[float, float, float]
    train_iters: int
    global_batch_size: int
    seed: int
    shuffle: bool = True


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Write what tokenize_mix.py's flags ask for; returns its manifest.

    Raises:
        UsageProblem: a single dataset.
        Problem: datasets that cannot be mixed, or no room for the mix.
    """
    data = mixed_data.read(args.data_path, args.data_epochs)
    drawn = Drawn(engine_settings.shares(args.split), args.train_iters, args.global_batch_size, args.seed)
    return write(data, drawn, args.output_prefix, args.seq_length)


def write(data: Data, drawn: Drawn, target: Path, seq_length: int) -> dict[str, Any]:
    """Write the samples of a mix, and the rows it holds out, as the dataset `target`; returns its manifest.

    Args:
        seq_length: of the training, by which tokens of samples are counted.
    """
    if data.mixture is None:
        raise UsageProblem("a mix of one dataset", where="--data-path", fix="train on the dataset itself")
    way = course(data.rows, data.mixture, drawn)
    order = np.concatenate([way.sequence, *(np.arange(part.start, part.stop) for part in way.held_out)])
    order = order.astype(np.int64)
    made = DatasetFiles(target)
    columns = dict(
        zip(PACKED_STEMS, (data.rows.input_ids, data.rows.attention_mask, data.rows.labels), strict=True)
    )
    lengths = np.concatenate([part.rows.input_ids.lengths for part in data.parts])[order]
    supervised = 0
    with made.writing():
        for stem, sequences in columns.items():
            _write_field(sequences, order, lengths, made, stem)
        _write_rows(data, order, hidden(made.rows))
        supervised = _supervised(data, order)
        manifest = {
            **data.parts[0].manifest,
            **{key: sum(part.manifest[key] for part in data.parts) for key in SUMMED},
            "inputs": [one for part in data.parts for one in part.manifest["inputs"]],
            "documents": len(order),
            "tokens": int(lengths.sum(dtype=np.int64)),
            "supervised_tokens": supervised,
            "mix": mixed_data.said(data, way, seq_length),
            "training": len(way.sequence),
            "held_out": len(order) - len(way.sequence),
        }
        return made.commit(manifest)


def _write_field(
    sequences: Sequence[np.ndarray], order: np.ndarray, lengths: np.ndarray, made: DatasetFiles, stem: str
) -> None:
    Index(lengths.astype(np.int32), np.arange(len(order) + 1, dtype=np.int64)).write(hidden(made.idx(stem)))
    with hidden(made.bin(stem)).open("wb") as stream:
        for number in order.tolist():
            stream.write(sequences[number].astype("<i4", copy=False).tobytes())


def _write_rows(data: Data, order: np.ndarray, target: Path) -> None:
    """Where each row is from: its dataset beside what that dataset says of it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from distillery import arrow_arrays
    from distillery.tokenize.origins import GROUP

    tables = []
    for name, part in zip(data.mixture.names, data.parts, strict=True):
        table = pq.ParquetFile(DatasetFiles(part.prefix).rows).read()
        named = arrow_arrays.array([name] * len(table), pa.string())
        tables.append(table.add_column(0, "dataset", named))
    mixed = pa.concat_tables(tables).take(arrow_arrays.array(order.tolist(), pa.int64()))
    pq.write_table(mixed, target, GROUP, compression="zstd")


def _supervised(data: Data, order: np.ndarray) -> int:
    from distillery.marks import IGNORED

    counts: dict[int, int] = {}
    for number in np.unique(order).tolist():
        counts[number] = int((data.rows.labels[number] != IGNORED).sum())
    return sum(counts[number] for number in order.tolist())
