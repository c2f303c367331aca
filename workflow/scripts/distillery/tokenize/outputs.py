"""Collects parts into the files of one dataset, packing them into sequences of equal length if asked.

What is to be known of a part is taken over in order by `append`, which says where its tokens belong; `write` puts them
there, in any process that was forked after the files were opened, and in any order.
"""

from __future__ import annotations

import json
import os
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from isal import isal_zlib

from distillery import files
from distillery.marks import IGNORED
from distillery.tokenize import indexed, packing
from distillery.tokenize.dataset_files import DatasetFiles, hidden
from distillery.tokenize.documents import Rules
from distillery.tokenize.indexed import IDS, LABELS, MASK
from distillery.tokenize.origins import Origins

if TYPE_CHECKING:
    from distillery.tokenize.parts import Part, Tokens

NAMED_ROWS = 1000  # of each kind of oddity, the rows that a manifest lists
ONES = np.ones(1 << 18, "<i4")


class Outputs(AbstractContextManager):
    """`append` parts in order and `write` their tokens, then `finish`, then `commit`. Else it leaves no file.

    Attributes: `sequences` and `tokens` of the first field, `supervised` (labels that are trained),
        `checksums` {stem: crc32 of its .bin}.
    """

    def __init__(self, prefix: Path, fields: tuple[str, ...], packed: bool, rules: Rules) -> None:
        """The fields of a dataset that is to be written.

        Args:
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
        self._origins = Origins(hidden(self.files.rows))
        self._rejected: IO[str] | None = None
        self._bins: dict[str, int] = {}  # file descriptors
        self._ends = dict.fromkeys(fields, 0)  # bytes of the parts so far

    def stem(self, field: str) -> str:
        return f"packed_{field}" if self.packed else field

    def stems(self) -> list[str]:
        return list(self.files.stems)

    def __enter__(self) -> Outputs:
        with ExitStack() as stack:
            stack.enter_context(self.files.writing())
            mask = (MASK,) if self.packed and not self.rules.pack else ()
            try:
                for each in (*self.fields, *mask):
                    self._bins[each] = _created(self._bin(each))
            except OSError as error:
                self._close()
                raise self.files.refused(error) from None
            self._held = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        self._origins.abandon()
        for field in self.fields:
            files.remove(_aside(self._bin(field)))
        self._held.__exit__(kind, exception, trace)

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
        kept = part.outcomes[self.fields[0]] >= 0
        self._origins.add(
            (shard, row, uuid)
            for row, uuid, is_kept in zip(part.rows, part.uuids, kept, strict=True)
            if is_kept
        )
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
        """Write indices; lay rows into sequences first if they are packed."""
        self._close()
        self._origins.close()
        nothing = np.empty(0, np.int64)  # a span may be without rows
        outcomes = {field: np.concatenate([nothing, *parts]) for field, parts in self._outcomes.items()}
        if self.rules.pack:
            groups = self._pack(outcomes[IDS], pad_id, subsets)
            self._origins.pack(groups)
            assert self.rules.seq_length
            outcomes = dict.fromkeys(self.fields, np.full(len(groups), self.rules.seq_length, np.int64))
        indices = {field: indexed.from_outcomes(lengths) for field, lengths in outcomes.items()}
        if self.packed:
            indices[MASK] = indices[IDS]
        for field, index in indices.items():
            index.write(hidden(self.files.idx(self.stem(field))))
        first = indices[self.fields[0]]
        self.sequences, self.tokens = len(first.lengths), int(first.lengths.sum(dtype=np.int64))

    def commit(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Make the dataset visible; returns its manifest as it was written."""
        return self.files.commit(
            manifest, {self.files.bin(stem): crc for stem, crc in self.checksums.items()}
        )

    def keep_rejected(self) -> Path | None:
        """Leave the list of rejected rows though there will be no dataset; None beside one of before, which has its own."""
        self._close()
        if self.files.manifest.exists() or not hidden(self.files.rejected).exists():
            return None
        os.replace(hidden(self.files.rejected), self.files.rejected)
        return self.files.rejected

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


def _created(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)


def _write_at(descriptor: int, array: np.ndarray, offset: int) -> None:
    left = memoryview(array).cast("B")
    while left:  # the kernel takes at most 2 GB at once, and less when the disk is about full
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written


def _aside(path: Path) -> Path:
    return path.with_name(path.name + ".unpacked")
