"""Texts that are the same, nearly the same, or share a stretch of words, as open-r1 compares problems with training data.

Words are runs of letters or digits, lower case; other signs count one by one, so that formulas are compared too.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from distillery.tokenize import held_rows
from distillery.tokenize.held_rows import HeldOut
from distillery.tokenize.readers import Source

_WORD = re.compile(r"[^\W_]+|[^\w\s]")
NGRAM = 8
SHINGLE = 4
BANDS, BAND_ROWS = (
    16,
    4,
)  # found with probability 1 - (1 - s^4)^16 at similarity s: 0.9999 at 0.8, 0.06 at 0.25
NEAR = 0.8
_MERSENNE = (1 << 61) - 1


def words(text: str) -> list[str]:
    """The words of a text in lower case, in order."""
    return _WORD.findall(text.lower())


def ngrams(found: list[str], size: int = NGRAM) -> set[int]:
    """64-bit hashes of all stretches of `size` words; of the whole text where it is shorter."""
    last = max(len(found) - size, 0)
    return {_hash(" ".join(found[start : start + size])) for start in range(last + 1)} if found else set()


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def fingerprint(found: list[str]) -> int:
    """The same for texts of the same words."""
    return _hash(" ".join(found))


class NearDuplicates:
    """Groups of texts whose sets of SHINGLE-word stretches have a Jaccard similarity of NEAR or more.

    MinHash signatures (Broder 1997) cut into bands find candidates; sets of shingles, kept for the
    first of each group only, decide.
    """

    def __init__(self) -> None:
        # fixed numbers, so that equal data gives equal results
        coefficients = np.random.default_rng(20).integers(
            1, _MERSENNE >> 30, (2, BANDS * BAND_ROWS), dtype=np.uint64
        )
        self._factor, self._offset = coefficients
        self._bands: list[dict[bytes, list[int]]] = [defaultdict(list) for _ in range(BANDS)]
        self._shingles: dict[int, np.ndarray] = {}  # a tenth of a set's memory

    def add(self, number: int, found: list[str]) -> int | None:
        """The number of an earlier text that this one nearly is, or None if it is new."""
        shingles = ngrams(found, SHINGLE)
        if not shingles:
            return None
        stored = np.fromiter(shingles, np.uint64, len(shingles))
        hashes = stored >> np.uint64(33)
        signature = (
            ((hashes[:, None] * self._factor + self._offset) >> np.uint64(29)).min(axis=0).astype("<u4")
        )
        keys = [band.tobytes() for band in signature.reshape(BANDS, BAND_ROWS)]
        candidates = sorted(
            {other for band, key in zip(self._bands, keys, strict=True) for other in band.get(key, ())}
        )
        for other in candidates:
            both = len(shingles.intersection(self._shingles[other].tolist()))
            if both >= NEAR * (len(shingles) + len(self._shingles[other]) - both):
                return other
        self._shingles[number] = stored
        for band, key in zip(self._bands, keys, strict=True):
            band[key].append(number)
        return None


class Overlap:
    """Which texts share a stretch of so many words with one of a set of problems."""

    def __init__(self, problems: Iterable[tuple[str, str]], size: int = NGRAM) -> None:
        """Index the problems' stretches of words.

        Args:
            problems: (id, text) of each.
            size: words of a stretch.
        """
        self.size = size
        self._owners: dict[int, str] = {}
        self.problems = 0
        for name, text in problems:
            self.problems += 1
            for ngram in ngrams(words(text), size):
                self._owners.setdefault(ngram, name)

    def find(self, found: list[str]) -> list[str]:
        """Ids of problems that these words overlap with, sorted."""
        return sorted({self._owners[ngram] for ngram in ngrams(found, self.size) if ngram in self._owners})


def problems_of(path: Path) -> Iterator[tuple[str, str]]:
    """(id, text) of the problems of a set's file.

    Raises:
        Problem: a file that cannot be read, or without columns uuid and problem.
    """
    source = Source(path)
    for rows in source.blocks(source.check(["uuid", "problem"])):
        yield from ((str(row["uuid"]), row["problem"] or "") for row in rows)


def contamination(shard: Path, problems: Path, hold_out: Mapping[str, Any] | None = None) -> dict[str, int]:
    """How many problems a training shard holds: all their stretches of NGRAM words occur in its column `problem`.

    Args:
        hold_out: of the dataset (`held_rows.of`): such rows are not learnt.

    Returns:
        {"problems": n, "contained": m}, both 0 for a shard without that column.
    """
    if "problem" not in Source(shard).columns():
        return {"problems": 0, "contained": 0}
    seen: set[int] = set()
    for text in _texts(shard, held_rows.of(hold_out)):
        seen |= ngrams(words(text))
    asked = [ngrams(words(text)) for text in _texts(problems)]
    return {"problems": len(asked), "contained": sum(bool(one) and one <= seen for one in asked)}


def _texts(path: Path, held: HeldOut | None = None) -> Iterator[str]:
    source = Source(path)
    for rows in source.blocks(source.check(["problem"], (), held.columns if held else ())):
        yield from (row["problem"] or "" for row in rows if not (held and held.holds(row)))
