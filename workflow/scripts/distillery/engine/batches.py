"""Which document is trained on when, and how documents become the arrays of a micro-batch.

Order, cuts and padding follow the reference (MindSpeed-LLM 2.2.0, DecoderPackedMTFDataset): documents
of the split are shuffled afresh every epoch by one RandomState(seed); step i takes the next
global_batch_size of them, micro-batch after micro-batch. So the data order's whole state is the
number of consumed samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from distillery import cutting
from distillery.engine.train_settings import Settings
from distillery.marks import IGNORED
from distillery.problems import Problem


@dataclass(frozen=True)
class Rows:
    """Parallel columns of a tokenized dataset; item i of each is an int32 array of row i's tokens."""

    input_ids: Sequence[np.ndarray]
    labels: Sequence[np.ndarray]  # not shifted; IGNORED where nothing is learnt
    attention_mask: Sequence[np.ndarray]

    def __len__(self) -> int:
        return len(self.input_ids)


@dataclass(frozen=True)
class Batch:
    """A micro-batch: int32 [rows, seq_length] arrays.

    `labels` are shifted: labels[r, t] is what should follow ids[r, t]. A token attends to itself and earlier
    tokens of its own segment; segment 0 is padding where padding could otherwise be seen.
    """

    ids: np.ndarray
    labels: np.ndarray
    positions: np.ndarray
    segments: np.ndarray
    tokens: int  # without padding

    @property
    def supervised(self) -> int:
        """Tokens that the loss counts."""
        return int((self.labels != IGNORED).sum())

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return self.ids, self.labels, self.positions, self.segments


def split(count: int, shares: tuple[float, float, float]) -> tuple[range, range, range]:
    """Documents for training, evaluation and test: consecutive ranges in the proportion of `shares`."""
    lengths = [int(round(share / sum(shares) * count)) for share in shares]
    first, second, third = np.cumsum(lengths) + (count - sum(lengths))  # rounding errors go to the first
    return range(first), range(first, second), range(second, third)


def order(documents: range, samples: int, seed: int, shuffle: bool) -> np.ndarray:
    """Document numbers of samples 0..samples-1: whole epochs, each shuffled by the same generator.

    Raises:
        Problem: there is no document.
    """
    if not documents:
        raise Problem(
            "no documents to train on or evaluate with", where="--split", fix="give this part a larger share"
        )
    generator = np.random.RandomState(seed)
    epochs = []
    for _ in range(-(-samples // len(documents))):
        epoch = np.arange(documents.start, documents.stop)
        if shuffle:
            generator.shuffle(epoch)
        epochs.append(epoch)
    return np.concatenate(epochs)[:samples]


def assemble(rows: Rows, documents: Sequence[int], settings: Settings) -> Batch:
    """The micro-batch of these documents."""
    shape = (len(documents), settings.seq_length)
    ids, positions, segments = (np.zeros(shape, np.int32) for _ in range(3))
    labels = np.full(shape, IGNORED, np.int32)
    tokens = 0
    for i, document in enumerate(documents):
        row, row_labels, row_segments = _row(rows, int(document), settings)
        n = len(row)
        if n == 0:
            continue
        at = slice(shape[1] - n, shape[1]) if settings.pad_left else slice(0, n)
        ids[i, at], segments[i, at] = row, row_segments
        starts = np.flatnonzero(np.diff(row_segments, prepend=row_segments[:1] - 1))
        positions[i, at] = np.arange(n) - np.repeat(starts, np.diff(starts, append=n))
        # label t+1 is the target of token t, unless a new segment begins there
        target = np.where(row_segments[1:] == row_segments[:-1], row_labels[1:], IGNORED)
        labels[i, at.start : at.start + n - 1] = target
        tokens += n
    return Batch(ids, labels, positions, segments, tokens)


def first_unlearnt(rows: Rows, sequence: np.ndarray, settings: Settings) -> int | None:
    """The number, from 1, of the first step none of whose rows has a label left once they are cut; None where all have.

    Of each step as many rows are looked at as it takes to find a label: mostly one.
    """
    known: dict[int, bool] = {}

    def learns(document: int) -> bool:
        if document not in known:
            _, labels, segments = _row(rows, document, settings)
            known[document] = bool(((labels[1:] != IGNORED) & (segments[1:] == segments[:-1])).any())
        return known[document]

    size = settings.global_batch_size
    for at in range(0, len(sequence), size):
        if not any(learns(int(one)) for one in sequence[at : at + size]):
            return at // size + 1
    return None


def micro_batches(rows: Rows, documents: np.ndarray, settings: Settings) -> list[Batch]:
    """These documents, a micro-batch after the other."""
    size = settings.micro_batch_size
    return [
        assemble(rows, documents[at : at + size].tolist(), settings) for at in range(0, len(documents), size)
    ]


def _row(rows: Rows, document: int, settings: Settings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(ids, labels, segments >= 1) of one document, without padding, at most seq_length tokens."""
    ids, labels = rows.input_ids[document], rows.labels[document]
    if settings.packing == "none":
        if len(ids) > settings.seq_length:
            cut = cut_plainly if settings.cut_plainly else cut_turns
            ids, labels = cut(ids, labels, settings.seq_length)
        return ids, labels, np.ones(len(ids), np.int32)
    ids, labels = cut_plainly(ids, labels, settings.seq_length)
    if settings.packing == "neat":
        mask = rows.attention_mask[document][: len(ids)]
        real = mask > 0  # the packer's own padding
        return ids[real], labels[real], mask[real]
    ends = (ids == settings.eos_token_id) & (labels == settings.eos_token_id)
    return ids, labels, 1 + np.concatenate([[0], np.cumsum(ends[:-1])]).astype(np.int32)


def cut_plainly(ids: np.ndarray, labels: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `length` tokens."""
    return ids[:length], labels[:length]


def cut_turns(ids: np.ndarray, labels: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Shorten each turn's prompt and answer in proportion until the row has `length` tokens.

    The reference's default for rows that are too long; it loses ends of answers, eos included.
    """
    masked = labels == IGNORED
    begins = np.flatnonzero(masked & ~np.concatenate([[False], masked[:-1]]))
    ends = np.flatnonzero(~masked & np.concatenate([[False], masked[:-1]]))
    if not len(begins):
        return cut_plainly(ids, labels, length)
    keep: list[np.ndarray] = []
    left = length
    for turn, (begin, end) in enumerate(zip(begins, ends, strict=False)):
        if left <= 0:
            break
        stop = begins[turn + 1] if turn + 1 < len(begins) else len(ids)
        source, target = cutting.by_need(end - begin, stop - end, left)
        keep += [np.arange(begin, begin + source), np.arange(end, end + target)]
        left -= source + target
    kept = np.concatenate(keep)
    return ids[kept], labels[kept]
