"""Texts that are the same, nearly the same, or share a stretch of words, as open-r1 compares problems with training data.

Words are runs of letters or digits, lower case; other signs count one by one, so that formulas are compared too.
"""

from __future__ import annotations

import hashlib
import math
import re
from array import array
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
NEAR = 0.8
BUCKETS = 1 << 22  # 34 MB; 100,000 questions of 80 words have twice as many shingles


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

    Of a set of n shingles such a text has ceil(NEAR * n) or more: it has one of any n - ceil(NEAR * n) + 1 (prefix filter, Bayardo
    2007). So only texts with one of the rarest that many are compared, of the first of each group: questions of one form
    share most shingles, and hardly ever those with their numbers. Shingles are counted, and their texts found, in BUCKETS by
    their last bits; what meets there by chance is compared in vain.
    """

    def __init__(self) -> None:
        # of the first of each group, in the order of their coming: number, shingles (an array takes a tenth of a set's memory)
        self._firsts: list[tuple[int, np.ndarray]] = []
        self._counts = np.zeros(BUCKETS, np.uint32)
        # a chain of each bucket, from its last text to its first: where it begins (0: nowhere), and of each link the text and the next
        self._heads = np.zeros(BUCKETS, np.uint32)
        self._places, self._next = array("I", [0]), array("I", [0])

    def add(self, number: int, found: list[str]) -> int | None:
        """The number of an earlier text that this one nearly is, or None if it is new."""
        shingles = ngrams(found, SHINGLE)
        if not shingles:
            return None
        stored = np.fromiter(shingles, np.uint64, len(shingles))
        buckets = (stored & np.uint64(BUCKETS - 1)).astype(np.int64)
        for place in self._candidates(buckets):
            first, others = self._firsts[place]
            # the smaller set divided by the larger one is the most that their similarity can be
            if min(len(stored), len(others)) < NEAR * max(len(stored), len(others)):
                continue
            both = len(shingles.intersection(others.tolist()))
            if both >= NEAR * (len(shingles) + len(others) - both):
                return first
        self._keep(number, stored, np.unique(buckets))
        return None

    def _candidates(self, buckets: np.ndarray) -> list[int]:
        """Places of the firsts that have one of the rarest shingles, as many as a near text cannot lack; ascending."""
        most = len(buckets) - math.ceil(NEAR * len(buckets)) + 1
        rarest = buckets[np.argsort(self._counts[buckets], kind="stable")[:most]]
        found: set[int] = set()
        for link in self._heads[rarest].tolist():
            while link:
                found.add(self._places[link])
                link = self._next[link]
        return sorted(found)

    def _keep(self, number: int, stored: np.ndarray, buckets: np.ndarray) -> None:
        begin = len(self._next)
        self._next.extend(self._heads[buckets].tolist())
        self._places.extend([len(self._firsts)] * len(buckets))
        self._heads[buckets] = np.arange(begin, begin + len(buckets))
        self._counts[buckets] += 1
        self._firsts.append((number, stored))


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
