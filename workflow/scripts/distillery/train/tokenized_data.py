"""The tokenized data a run trains on: its columns, its manifest, and what to call a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distillery import digests, files, parquet_files, provenance
from distillery.engine.batches import Rows, first_unlearnt
from distillery.engine.mixture import Mixture
from distillery.engine.train_settings import Settings
from distillery.marks import IGNORED
from distillery.problems import Problem
from distillery.tokenize import indexed
from distillery.tokenize.dataset_files import PACKED_STEMS, DatasetFiles

BLOCK = 1 << 22  # tokens looked at at a time


class Sequences(Sequence[np.ndarray]):
    """The int32 sequences of one field, read from its .bin when asked for."""

    def __init__(self, bin_path: Path, idx_path: Path):
        self.path = bin_path
        self._index = indexed.read(bin_path, idx_path)
        self._ends = np.cumsum(self._index.lengths, dtype=np.int64)
        # numpy cannot map an empty file
        self._tokens = np.memmap(bin_path, "<i4", "r") if bin_path.stat().st_size else np.zeros(0, np.int32)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, number):
        end = self._ends[number]
        return self._tokens[end - self._index.lengths[number] : end]

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each sequence, int32."""
        return self._index.lengths

    def holds_only(self, value: int) -> bool:
        """Whether every id is this one; other data are known by their first block."""
        blocks = (self._tokens[at : at + BLOCK] for at in range(0, len(self._tokens), BLOCK))
        return all((block == value).all() for block in blocks)

    def first_outside(self, size: int, but: int | None = None) -> tuple[int, int, int] | None:
        """(sequence, position in it, id) of the first id that is not below `size`, None where all are.

        One pass over the file, half a second for 10^9 ids in memory: as unsigned numbers negative ids are large.

        Args:
            but: an id that may stand anywhere.
        """
        for at in range(0, len(self._tokens), BLOCK):
            block = self._tokens[at : at + BLOCK]
            bad = block.view("<u4") >= size
            if but is not None:
                bad &= block != but
            if bad.any():
                place = at + int(bad.argmax())
                number = int(np.searchsorted(self._ends, place, side="right"))
                start = int(self._ends[number]) - int(self._index.lengths[number])
                return number, place - start, int(self._tokens[place])
        return None


@dataclass(frozen=True)
class Data:
    """Columns of the dataset, its manifest and where its row names are.

    Of a mix the columns of all `parts`, and manifest and prefix of the first (mixed_data).
    """

    rows: Rows
    manifest: dict[str, Any]
    prefix: Path
    mixture: Mixture | None = None
    parts: tuple[Data, ...] = ()

    @property
    def digest(self) -> str:
        return provenance.digest(self.manifest)

    @property
    def packing(self) -> str:
        """none, reset or neat: see engine.settings."""
        options = self.manifest["options"]
        return ("neat" if options["neat_pack"] else "reset") if options["pack"] else "none"

    def describe(self, number: int) -> object:
        """Shard, row and uuid of sequence `number` (lists of them if it is packed), of a mix its dataset too."""
        for name, part in zip(self.mixture.names if self.mixture else (), self.parts, strict=True):
            if number < len(part.rows):
                return {"dataset": name, "row": part.describe(number)}
            number -= len(part.rows)
        for batch in parquet_files.batches(DatasetFiles(self.prefix).rows):
            if number < batch.num_rows:
                return batch.slice(number, 1).to_pylist()[0]
            number -= batch.num_rows
        return None


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
    manifest = digests.read_json(found.manifest)
    if sorted(manifest["fields"]) != sorted(PACKED_STEMS):
        raise Problem(
            "the data is plain text, not conversations with labels",
            where=found.manifest,
            found=manifest["fields"],
            wanted=sorted(PACKED_STEMS),
            fix="tokenize with an instruction handler and a --prompt-type",
        )
    found.check(manifest, digests.again(found.manifest))
    ids, mask, labels = (Sequences(found.bin(stem), found.idx(stem)) for stem in PACKED_STEMS)
    return Data(Rows(ids, labels, mask), manifest, prefix)


def check_ids(data: Data, vocab_size: int) -> None:
    """Hold every id and label against the rows of the embedding, before one leads a kernel out of its table.

    Args:
        vocab_size: rows of the embedding, as config.json says.

    Raises:
        Problem: an id without a row; names file, sequence, its rows' names and position. Or no label at all.
    """
    if data.parts:
        for part in data.parts:
            check_ids(part, vocab_size)
        return
    if data.rows.labels.holds_only(IGNORED):
        raise Problem(
            "nothing of the data is learnt",
            where=data.rows.labels.path,
            found=f"only {IGNORED}, which masks a label",
            wanted="labels where the assistant answers",
            fix="tokenize again: see that --map-keys and the tags name the assistant's messages",
        )
    for field, but in ((data.rows.input_ids, None), (data.rows.labels, IGNORED)):
        found = field.first_outside(vocab_size, but)
        if found:
            number, position, token = found
            raise Problem(
                "a token of the data has no row in the model's embedding",
                where=f"{field.path}, sequence {number} ({data.describe(number)}), position {position}",
                found=f"id {token}",
                wanted=f"0 to {vocab_size - 1}" + (f", or {but} where nothing is learnt" if but else ""),
                fix="tokenize again with this model's tokenizer; if that changes nothing the file was damaged",
            )


def check_batches(data: Data, sequence: np.ndarray, settings: Settings) -> None:
    """Each step has something to learn, once its rows are cut.

    Args:
        sequence: numbers of the rows in the order in which they are trained on.

    Raises:
        Problem: naming the first step without a label.
    """
    step = first_unlearnt(data.rows, sequence, settings)
    if step is not None:
        size = settings.global_batch_size
        chosen = [int(one) for one in sequence[(step - 1) * size : step * size]]
        longest = max(len(data.rows.labels[one]) for one in chosen)
        raise Problem(
            "a step has nothing to learn",
            where=f"step {step}, {', '.join(str(data.describe(one)) for one in chosen[:3])}"
            + (f" and {len(chosen) - 3} rows more" if len(chosen) > 3 else ""),
            found=f"no label among the first {settings.seq_length} tokens of each row, of which the longest has {longest}",
            wanted="an answer that begins within --seq-length in one row of each step",
            fix="raise --seq-length, drop rows that are too long when they are tokenized, or raise --global-batch-size",
        )


def check_tokenizer(data: Data, directory: Path) -> None:
    """The data was tokenized with the model's tokenizer.

    Raises:
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
