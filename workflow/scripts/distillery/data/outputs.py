"""The files of one dataset prefix, written under hidden names and renamed together, the manifest last."""

from __future__ import annotations

import json
import os
import zlib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from distillery import files
from distillery.data import indexed, packing
from distillery.data.documents import IGNORED, Rules

if TYPE_CHECKING:
    from distillery.data.pipeline import Part

IDS, MASK, LABELS = indexed.FIELDS
NAMED_ROWS = 1000  # of each kind of oddity, the rows that a manifest lists


def manifest_path(prefix: Path) -> Path:
    return prefix.with_name(prefix.name + "_manifest.json")


def rows_path(prefix: Path) -> Path:
    return prefix.with_name(prefix.name + "_rows.parquet")


def rejected_path(prefix: Path) -> Path:
    return prefix.with_name(prefix.name + "_rejected.jsonl")


def hidden(target: Path) -> Path:
    return target.with_name(f".{target.name}.partial")


def all_paths(prefix: Path) -> list[Path]:
    """Every file that a prefix can have but the manifest."""
    data = [path for name in indexed.FIELDS for path in indexed.paths(prefix, name)]
    return [*data, rows_path(prefix), rejected_path(prefix)]


class Outputs(AbstractContextManager):
    """Collects parts; `finish` packs and writes the rest; `commit` makes all of it visible at once.

    Attributes: `sequences`, `tokens`, `supervised` (labels that are trained), `checksums` {field: crc32 of its .bin}.
    """

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self.sequences = self.tokens = self.supervised = 0
        self.checksums: dict[str, int] = {}
        self._outcomes: list[np.ndarray] = []
        self._shards: list[str] = []
        self._rows: list[tuple[int, np.ndarray, list[str | None]]] = []
        self._rejected = None
        self._bins: dict[str, Any] = {}

    def __enter__(self) -> Outputs:
        for path in all_paths(self.prefix):
            files.remove(hidden(path))
        for name in (IDS, LABELS):
            self._bins[name] = hidden(indexed.paths(self.prefix, name)[0]).open("wb")
            self.checksums[name] = 0
        return self

    def append(self, shard: str, part: Part) -> None:
        """Take over the tokens, rows and outcomes of a part."""
        for name, array in ((IDS, part.input_ids), (LABELS, part.labels)):
            raw = array.astype("<i4", copy=False).data
            self._bins[name].write(raw)
            self.checksums[name] = zlib.crc32(raw, self.checksums[name])
        self.supervised += int((part.labels != IGNORED).sum())
        self._outcomes.append(part.outcomes)
        if shard not in self._shards:
            self._shards.append(shard)
        self._rows.append((self._shards.index(shard), np.array(part.rows, np.int64), part.uuids))

    def reject(self, entry: dict[str, Any]) -> None:
        if self._rejected is None:
            self._rejected = hidden(rejected_path(self.prefix)).open("w", encoding="utf-8")
        self._rejected.write(json.dumps(entry, ensure_ascii=False, sort_keys=True) + "\n")

    def finish(self, rules: Rules, pad_id: int, subsets: int = 1) -> None:
        """Write masks, indices and rows; with `pack`, lay the rows into sequences of seq_length first."""
        for stream in self._bins.values():
            stream.close()
        outcomes = np.concatenate(self._outcomes)
        if rules.pack:
            groups = self._pack(outcomes, rules, pad_id, subsets)
            assert rules.seq_length
            outcomes = np.full(len(groups), rules.seq_length, np.int64)
        else:
            groups = None
            self._ones(int(outcomes[outcomes >= 0].sum()))
        index = indexed.from_outcomes(outcomes)
        self.sequences, self.tokens = len(index.lengths), int(index.lengths.sum(dtype=np.int64))
        for name in indexed.FIELDS:
            index.write(hidden(indexed.paths(self.prefix, name)[1]))
        self._write_rows(np.concatenate(self._outcomes) >= 0, groups)

    def _ones(self, count: int) -> None:
        ones = np.ones(1 << 18, "<i4")
        with hidden(indexed.paths(self.prefix, MASK)[0]).open("wb") as stream:
            for start in range(0, count, len(ones)):
                stream.write(ones[: min(len(ones), count - start)].data)

    def _pack(self, outcomes: np.ndarray, rules: Rules, pad_id: int, subsets: int) -> list[list[int]]:
        """Rewrite the .bin files in packed order; groups of document numbers among the kept ones."""
        assert rules.seq_length
        size = rules.seq_length
        groups: list[list[int]] = []
        kept_before = 0
        for part in subset_ranges(len(outcomes), subsets):
            lengths = outcomes[part]
            lengths = lengths[lengths >= 0]
            groups += [[kept_before + row for row in group] for group in packing.best_fit(lengths, size - 1)]
            kept_before += len(lengths)
        lengths = outcomes[outcomes >= 0]
        starts = np.cumsum(lengths) - lengths
        spools = {name: hidden(indexed.paths(self.prefix, name)[0]) for name in (IDS, LABELS)}
        spooled = {}
        for name, path in spools.items():
            aside = path.with_name(path.name + ".unpacked")
            os.replace(path, aside)
            spooled[name] = np.memmap(aside, "<i4", "r")
        fill = {IDS: pad_id, LABELS: IGNORED}
        for name, array in spooled.items():
            checksum = 0
            with spools[name].open("wb") as stream:
                for group in groups:
                    sequence = np.full(size, fill[name], "<i4")
                    position = 0
                    for row in group:
                        sequence[position : position + lengths[row]] = array[
                            starts[row] : starts[row] + lengths[row]
                        ]
                        position += int(lengths[row])
                    stream.write(sequence.data)
                    checksum = zlib.crc32(sequence.data, checksum)
            self.checksums[name] = checksum
        with hidden(indexed.paths(self.prefix, MASK)[0]).open("wb") as stream:
            for group in groups:
                mask = np.ones(size, "<i4")
                if rules.neat_pack:
                    numbers = np.repeat(np.arange(1, len(group) + 1), lengths[group])
                    mask[:] = 0
                    mask[: len(numbers)] = numbers
                stream.write(mask.data)
        for path in spools.values():
            files.remove(path.with_name(path.name + ".unpacked"))
        return groups

    def _write_rows(self, kept: np.ndarray, groups: list[list[int]] | None) -> None:
        """rows.parquet: shard, row number and uuid of each sequence; lists of them for packed sequences."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        shard = np.concatenate([np.full(len(rows), number) for number, rows, _ in self._rows])[kept]
        row = np.concatenate([rows for _, rows, _ in self._rows])[kept]
        uuids = [uuid for _, _, part in self._rows for uuid in part]
        columns = {
            "shard": pa.array(np.array(self._shards, object)[shard], pa.string()),
            "row": pa.array(row, pa.int64()),
            "uuid": pa.array(uuids, pa.string()).filter(pa.array(kept)),
        }
        if groups is not None:
            order = pa.array([number for group in groups for number in group], pa.int64())
            ends = pa.array(np.concatenate([[0], np.cumsum([len(group) for group in groups])]), pa.int32())
            columns = {
                name: pa.ListArray.from_arrays(ends, array.take(order)) for name, array in columns.items()
            }
        pq.write_table(pa.table(columns), hidden(rows_path(self.prefix)), compression="zstd")

    def commit(self, manifest: dict[str, Any]) -> None:
        """Rename everything into place. The old manifest goes first and the new one comes last."""
        if self._rejected is not None:
            self._rejected.close()
        files.remove(manifest_path(self.prefix))
        for target in all_paths(self.prefix):
            if hidden(target).exists():
                os.replace(hidden(target), target)
            else:
                files.remove(target)
        files.write_json(manifest_path(self.prefix), manifest)

    def __exit__(self, kind: object, *rest: object) -> None:
        for stream in (*self._bins.values(), self._rejected):
            if stream is not None:
                stream.close()
        for path in all_paths(self.prefix):
            files.remove(hidden(path))
            files.remove(hidden(path).with_name(hidden(path).name + ".unpacked"))


def subset_ranges(rows: int, subsets: int) -> list[slice]:
    """The reference's --n-subs: pieces of rows // subsets rows, and one more for the rest."""
    size = rows // subsets or 1
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
