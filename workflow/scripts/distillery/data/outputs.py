"""Collects parts into the files of one dataset, packing them into sequences of equal length if asked.

What is to be known of a part is taken over in order by `append`, which says where its tokens belong; `write` puts them
there, in any process that was forked after the files were opened, and in any order.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from isal import isal_zlib

from distillery import files
from distillery.data import indexed, packing
from distillery.data.documents import IGNORED, Rules
from distillery.data.indexed import IDS, LABELS, MASK
from distillery.data.layout import DatasetFiles, hidden
from distillery.problems import Problem

if TYPE_CHECKING:
    from distillery.data.tokenizing import Part, Tokens

NAMED_ROWS = 1000  # of each kind of oddity, the rows that a manifest lists
ONES = np.ones(1 << 18, "<i4")


class Outputs(AbstractContextManager):
    """`append` parts in order and `write` their tokens, then `finish`, then `commit`. Else it leaves no file.

    Attributes: `sequences` and `tokens` of the first field, `supervised` (labels that are trained),
        `checksums` {stem: crc32 of its .bin}.
    """

    def __init__(self, prefix: Path, fields: tuple[str, ...], packed: bool, rules: Rules) -> None:
        """Args:
        fields: those whose tokens the parts bring.
        packed: instruction data, with `_packed` in names and an attention mask beside the fields.
        """
        self.fields, self.packed, self.rules = fields, packed, rules
        self.files = DatasetFiles(
            prefix, tuple(self.stem(each) for each in (indexed.FIELDS if packed else fields))
        )
        self.sequences = self.tokens = self.supervised = 0
        self.checksums = dict.fromkeys(map(self.stem, fields), 0)
        self._outcomes: dict[str, list[np.ndarray]] = {each: [] for each in fields}
        self._shards: list[str] = []
        self._rows: list[tuple[int, list[int], list[str | None]]] = []
        self._rejected: IO[str] | None = None
        self._bins: dict[str, int] = {}  # file descriptors
        self._ends = dict.fromkeys(fields, 0)  # bytes of the parts so far

    def stem(self, field: str) -> str:
        return f"packed_{field}" if self.packed else field

    def stems(self) -> list[str]:
        return list(self.files.stems)

    def __enter__(self) -> Outputs:
        self.files.check_strays()
        self.files.discard()
        mask = (MASK,) if self.packed and not self.rules.pack else ()
        self._bins = {each: _created(self._bin(each)) for each in (*self.fields, *mask)}
        return self

    def __exit__(self, kind: type[BaseException] | None, exception: BaseException | None, _: object) -> None:
        self._close()
        self.files.discard()
        for field in self.fields:
            files.remove(_aside(self._bin(field)))
        if isinstance(exception, OSError) and exception.errno == errno.ENOSPC:
            raise Problem(
                "the disk is full",
                where=self.files.prefix.parent,
                found=f"{self._ends[self.fields[0]] // 4} tokens could be written",
                wanted="12 bytes a token, and 8 more while packing",
                fix="free some space, or choose another --output-prefix",
            ) from exception

    def append(self, shard: str, part: Part) -> dict[str, int]:
        """Take over the outcomes, rows and rejections of a part; return where its tokens begin [byte] in each field."""
        place = dict(self._ends)
        for field, outcomes in part.outcomes.items():
            size = 4 * part.size(field)
            self._outcomes[field].append(outcomes)
            self._ends[field] += size
            checksum = self.checksums[self.stem(field)]
            checksum = isal_zlib.crc32_combine(checksum, part.checksums[field], size)
            self.checksums[self.stem(field)] = checksum
        self.supervised += part.supervised
        if shard not in self._shards:
            self._shards.append(shard)
        self._rows.append((self._shards.index(shard), part.rows, part.uuids))
        if part.rejected and self._rejected is None:
            self._rejected = hidden(self.files.rejected).open("w", encoding="utf-8")
        for entry in part.rejected:
            assert self._rejected
            self._rejected.write(json.dumps(entry, ensure_ascii=False, sort_keys=True) + "\n")
        return place

    def write(self, tokens: Tokens, place: dict[str, int]) -> None:
        """Put the tokens of a part where `append` said, and as many ones into the attention mask."""
        for field, array in tokens.items():
            _write_at(self._bins[field], array, place[field])
        if MASK in self._bins:
            left, offset = len(tokens[IDS]), place[IDS]
            while left:
                ones = ONES[:left]
                _write_at(self._bins[MASK], ones, offset)
                left, offset = left - len(ones), offset + ones.nbytes

    def finish(self, pad_id: int, subsets: int) -> None:
        """Write indices and rows; lay rows into sequences first if they are packed."""
        self._close()
        groups = None
        outcomes = {field: np.concatenate(parts) for field, parts in self._outcomes.items()}
        kept = outcomes[self.fields[0]] >= 0
        if self.rules.pack:
            groups = self._pack(outcomes[IDS], pad_id, subsets)
            assert self.rules.seq_length
            outcomes = dict.fromkeys(self.fields, np.full(len(groups), self.rules.seq_length, np.int64))
        indices = {field: indexed.from_outcomes(lengths) for field, lengths in outcomes.items()}
        if self.packed:
            indices[MASK] = indices[IDS]
        for field, index in indices.items():
            index.write(hidden(self.files.idx(self.stem(field))))
        first = indices[self.fields[0]]
        self.sequences, self.tokens = len(first.lengths), int(first.lengths.sum(dtype=np.int64))
        self._write_rows(kept, groups)

    def commit(self, manifest: dict[str, Any]) -> None:
        self.files.commit(manifest)

    def _bin(self, field: str) -> Path:
        return hidden(self.files.bin(self.stem(field)))

    def _close(self) -> None:
        for descriptor in self._bins.values():
            os.close(descriptor)
        self._bins = {}
        if self._rejected is not None:
            self._rejected.close()

    def _pack(self, outcomes: np.ndarray, pad_id: int, subsets: int) -> list[list[int]]:
        """Rewrite the .bin files in packed order; return the numbers, among kept rows, of those in each sequence."""
        rules = self.rules
        assert rules.seq_length
        groups: list[list[int]] = []
        before = 0
        for piece in packing.subsets(len(outcomes), subsets):
            lengths = outcomes[piece]
            lengths = lengths[lengths >= 0]
            groups += [
                [before + row for row in group] for group in packing.best_fit(lengths, rules.seq_length - 1)
            ]
            before += len(lengths)
        lengths = outcomes[outcomes >= 0]
        for field, fill in ((IDS, pad_id), (LABELS, IGNORED)):
            os.replace(self._bin(field), _aside(self._bin(field)))
            checksum = 0
            loose = np.memmap(_aside(self._bin(field)), "<i4", "r")
            with self._bin(field).open("wb") as stream:
                for sequence in packing.lay(loose, lengths, groups, rules.seq_length, fill):
                    stream.write(sequence.data)
                    checksum = isal_zlib.crc32(sequence.data, checksum)
            self.checksums[self.stem(field)] = checksum
        with self._bin(MASK).open("wb") as stream:
            for group in groups:
                stream.write(packing.mask(lengths[group], rules.seq_length, rules.neat_pack).data)
        return groups

    def _write_rows(self, kept: np.ndarray, groups: list[list[int]] | None) -> None:
        """rows.parquet: shard, row number and uuid of each sequence of the first field; lists of them where packed."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        shard = [number for number, rows, _ in self._rows for _ in rows]
        columns = {
            "shard": pa.array(self._shards, pa.string()).take(pa.array(shard, pa.int64())),
            "row": pa.array([row for _, rows, _ in self._rows for row in rows], pa.int64()),
            "uuid": pa.array([uuid for _, _, uuids in self._rows for uuid in uuids], pa.string()),
        }
        columns = {name: array.filter(pa.array(kept.tolist())) for name, array in columns.items()}
        if groups is not None:
            order = pa.array([number for group in groups for number in group], pa.int64())
            ends = pa.array(itertools.accumulate(map(len, groups), initial=0), pa.int32())
            columns = {
                name: pa.ListArray.from_arrays(ends, array.take(order)) for name, array in columns.items()
            }
        pq.write_table(pa.table(columns), hidden(self.files.rows), compression="zstd")


def _created(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)


def _write_at(descriptor: int, array: np.ndarray, offset: int) -> None:
    left = memoryview(array).cast("B")
    while left:  # the kernel takes at most 2 GB at once, and less when the disk is about full
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written


def _aside(path: Path) -> Path:
    return path.with_name(path.name + ".unpacked")
