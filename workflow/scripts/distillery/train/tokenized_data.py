"""The tokenized data a run trains on: its columns, its manifest, and what to call a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distillery import files, provenance
from distillery.engine.batches import Rows
from distillery.problems import Problem
from distillery.tokenize import indexed
from distillery.tokenize.dataset_files import PACKED_STEMS, DatasetFiles


class Sequences(Sequence[np.ndarray]):
    """The int32 sequences of one field, read from its .bin when asked for."""

    def __init__(self, bin_path: Path, idx_path: Path):
        self._index = indexed.read(bin_path, idx_path)
        self._ends = np.cumsum(self._index.lengths, dtype=np.int64)
        # numpy cannot map an empty file
        self._tokens = np.memmap(bin_path, "<i4", "r") if bin_path.stat().st_size else np.zeros(0, np.int32)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, number):
        end = self._ends[number]
        return self._tokens[end - self._index.lengths[number] : end]


@dataclass(frozen=True)
class Data:
    """Columns of the dataset, its manifest and where its row names are."""

    rows: Rows
    manifest: dict[str, Any]
    prefix: Path

    @property
    def digest(self) -> str:
        return provenance.digest(self.manifest)

    @property
    def packing(self) -> str:
        """none, reset or neat: see engine.settings."""
        options = self.manifest["options"]
        return ("neat" if options["neat_pack"] else "reset") if options["pack"] else "none"

    def describe(self, number: int) -> object:
        """Shard, row and uuid of sequence `number` (lists of them if it is packed)."""
        import pyarrow.parquet as pq

        return pq.read_table(DatasetFiles(self.prefix).rows).slice(number, 1).to_pylist()[0]


def read(prefix: Path) -> Data:
    """Open a tokenized dataset.

    Raises:
        Problem: a file is missing or does not fit the others.
    """
    found = DatasetFiles(prefix)
    if not found.manifest.is_file():
        raise Problem(
            "no tokenized data with a manifest",
            where=found.manifest,
            wanted="the files preprocess_data.py writes for --output-prefix",
            fix="give --data-path the prefix alone, without _packed_input_ids_document",
        )
    manifest = files.read_json(found.manifest)
    if sorted(manifest["fields"]) != sorted(PACKED_STEMS):
        raise Problem(
            "the data is plain text, not conversations with labels",
            where=found.manifest,
            found=manifest["fields"],
            wanted=sorted(PACKED_STEMS),
            fix="tokenize with an instruction handler and a --prompt-type",
        )
    ids, mask, labels = (Sequences(found.bin(stem), found.idx(stem)) for stem in PACKED_STEMS)
    return Data(Rows(ids, labels, mask), manifest, prefix)


def check_tokenizer(data: Data, directory: Path) -> None:
    """Raises:
    Problem: the data was made with another tokenizer than the model's.
    """
    path, wanted = directory / "tokenizer.json", data.manifest["tokenizer"]["sha256"]
    found = files.sha256(path) if path.is_file() else "no tokenizer.json"
    if found != wanted:
        raise Problem(
            "the data was tokenized with another tokenizer than the model's",
            where=path,
            found=found,
            wanted=f"sha256 {wanted}, as in {DatasetFiles(data.prefix).manifest.name}",
            fix="tokenize again with the model's tokenizer, or give the directory the data was made with",
        )
