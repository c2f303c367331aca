"""The tokenized data of a training: one dataset, or several that are mixed while it trains.

    read(["d/math/math"])                          # one
    read(["0.7", "d/math/math", "0.3", "d/mine/mine"])   # by weights, as Megatron's --data-path takes them
    read(["d/math/math", "d/mine/mine"], [2, 1])   # by epochs: each row of the first is seen twice as often

No token is copied: rows of a mix are those of its datasets, one dataset after the other.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from distillery import provenance
from distillery.engine.batches import Rows
from distillery.engine.mixture import Course, Mixture
from distillery.problems import Problem, UsageProblem
from distillery.tokenize.dataset_files import DatasetFiles
from distillery.train import tokenized_data
from distillery.train.tokenized_data import Data

# what must agree between datasets for one training to read them
SAME = ("template", "tokenizer")
SAME_OPTIONS = ("pack", "neat_pack")


class Joined(Sequence[np.ndarray]):
    """The sequences of several datasets, one dataset after the other."""

    def __init__(self, parts: Sequence[Sequence[np.ndarray]]):
        self._parts = parts
        self._starts = [0, *np.cumsum([len(part) for part in parts]).tolist()]

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, number):
        part = bisect_right(self._starts, number, hi=len(self._parts)) - 1
        return self._parts[part][number - self._starts[part]]


def read(words: Sequence[str], epochs: Sequence[float] | None = None) -> Data:
    """What --data-path and --data-epochs name.

    Raises:
        UsageProblem: neither a prefix, nor weights with their prefixes, nor prefixes with their epochs.
        Problem: a file is missing or does not fit the others, or datasets that cannot be mixed.
    """
    prefixes, weights = _named(words, epochs)
    found = [tokenized_data.read(prefix) for prefix in prefixes]
    if len(found) == 1:
        return found[0]
    _check_alike(found)
    rows = Rows(
        Joined([data.rows.input_ids for data in found]),
        Joined([data.rows.labels for data in found]),
        Joined([data.rows.attention_mask for data in found]),
    )
    mixture = Mixture(
        _names(prefixes),
        tuple(len(data.rows) for data in found),
        weights,
        tuple(epochs) if epochs else None,
    )
    return replace(found[0], rows=rows, mixture=mixture, parts=tuple(found))


def said(data: Data, course: Course, seq_length: int) -> list[dict[str, Any]]:
    """What a training takes of each dataset of its mix, for done.json; nothing without one.

    Returns:
        For each its name, weight or epochs as given, rows that are trained and held out, samples, epochs (how often a row is
        seen) and tokens of the samples, at most `seq_length` of each.
    """
    mixture = data.mixture
    if mixture is None:
        return []
    lengths = np.concatenate([part.rows.input_ids.lengths for part in data.parts])
    taken = np.minimum(lengths[course.sequence], seq_length)
    turns = mixture.of(course.sequence)
    given = ("weight", mixture.weights) if mixture.weights else ("epochs_wanted", mixture.epochs)
    found = []
    for number, name in enumerate(mixture.names):
        mine = turns == number
        rows = len(course.training[number])
        found.append(
            {
                "dataset": name,
                given[0]: given[1][number],
                "rows": rows,
                "held_out": len(course.held_out[number]),
                "samples": int(mine.sum()),
                "epochs": round(int(mine.sum()) / rows, 4) if rows else 0.0,
                "tokens": int(taken[mine].sum(dtype=np.int64)),
            }
        )
    return found


def identity(data: Data) -> str:
    """Digest of the data a training depends on: of one dataset's manifest, or of all with their shares."""
    if data.mixture is None:
        return data.digest
    shares = data.mixture.weights, data.mixture.epochs
    return provenance.digest([shares, [one.digest for one in data.parts]])


def _named(
    words: Sequence[str], epochs: Sequence[float] | None
) -> tuple[list[Path], tuple[float, ...] | None]:
    if len(words) == 1 and not epochs:
        return [Path(words[0])], None
    if epochs:
        if len(epochs) != len(words):
            raise _not_a_mix(words, f"--data-epochs {' '.join(map(str, epochs))}")
        return [Path(word) for word in words], None
    try:
        weights = tuple(float(word) for word in words[::2])
    except ValueError:
        raise _not_a_mix(words) from None
    if len(words) % 2 or not all(0 < one < math.inf for one in weights):
        raise _not_a_mix(words)
    return [Path(word) for word in words[1::2]], weights


def _names(prefixes: Sequence[Path]) -> tuple[str, ...]:
    names = [prefix.name for prefix in prefixes]
    return tuple(names if len(set(names)) == len(names) else map(str, prefixes))


def _not_a_mix(words: Sequence[str], more: str = "") -> UsageProblem:
    return UsageProblem(
        "not a mix of datasets",
        where="--data-path",
        found=" ".join([*words, *filter(None, [more])]),
        wanted="one prefix; or weights above 0, each before its prefix; or prefixes, and --data-epochs with a number above 0 for each",
        fix="write --data-path 0.7 A 0.3 B, or --data-path A B --data-epochs 2 1",
    )


def _check_alike(found: Sequence[Data]) -> None:
    """Datasets that one training can read: of one tokenizer and template, packed alike.

    Raises:
        Problem: names the first two that differ, and in what.
    """
    first = found[0].manifest
    for data in found[1:]:
        for key, mine, theirs in [
            *((key, data.manifest[key], first[key]) for key in SAME),
            *((key, data.manifest["options"][key], first["options"][key]) for key in SAME_OPTIONS),
            # rows that are not packed may be of any length
            (
                "seq_length",
                *(one["options"]["pack"] and one["options"]["seq_length"] for one in (data.manifest, first)),
            ),
        ]:
            if mine != theirs:
                raise Problem(
                    f"datasets that differ in {key} cannot be mixed",
                    where=f"{DatasetFiles(data.prefix).manifest}, {key}",
                    found=mine,
                    wanted=f"{theirs}, as in {DatasetFiles(found[0].prefix).manifest}",
                    fix="tokenize them with one tokenizer, prompt type and way of packing",
                )
