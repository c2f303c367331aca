"""Weights to read from: a Hugging Face directory or an MCore checkpoint of any layout, seen the same way.

Both are `Source`s: {Hugging Face tensor name: rectangles}, each rectangle a stored tensor's rows. What an MCore
checkpoint's layout is follows from its files: ranks from directory names, layers from the names present, the
vocabulary's padding from shapes. So no flag about the source is ever needed.
"""

from __future__ import annotations

from argparse import Namespace
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery import model_config
from distillery.architecture import Architecture
from distillery.checkpoint_names import TRACKER
from distillery.convert import arguments, dtypes, shards, tensor_map
from distillery.convert.dtypes import DType
from distillery.convert.mcore_layout import Grid
from distillery.convert.rank_files import iteration_directory, read_ranks, stages
from distillery.convert.slices import Slice, rank_slices
from distillery.convert.torchfile import Stored
from distillery.problems import Problem


@dataclass(frozen=True)
class Block:
    """Rows [top, bottom), columns [left, right) of a Hugging Face tensor: rows of `stored` from `row` on."""

    top: int
    bottom: int
    left: int
    right: int
    stored: Stored
    row: int


@dataclass(frozen=True)
class Source:
    """Weights ready to be read.

    Attributes:
        dtype: the narrowest type that holds all weights exactly: theirs, or of mixed ones fp32.
        blocks: for each Hugging Face tensor, the rectangles it lies in; replicas besides the first are in `copies`.
        args: the saved arguments, of an MCore checkpoint.
        storages: per .pt file, (offset, bytes, CRC-32) of the storages in which weights lie.
        entries: (file, tensor, type, shape, CRC-32) of the rank files' tensors, as `mcore.payload_digest` takes them.
        tensor_bytes: of all rank files together, replicas and padding counted.
    """

    architecture: Architecture
    dtype: DType
    blocks: dict[str, list[Block]]
    copies: dict[str, list[Block]]
    grid: Grid | None = None
    args: Namespace | None = None
    storages: dict[Path, list[tuple[int, int, int]]] | None = None
    tensor_bytes: int = 0
    entries: tuple[tuple[str, str, str, tuple[int, ...], int], ...] = ()

    def types(self) -> dict[DType, str]:
        """{type: a tensor of that type}; a Hugging Face model may have, say, bf16 weights with fp32 norms."""
        return {block.stored.dtype: name for name, held in self.blocks.items() for block in held}


def open_source(directory: Path) -> Source:
    """An MCore checkpoint if the directory has a tracker file, else a Hugging Face model."""
    return open_mcore(directory) if (directory / TRACKER).is_file() else open_hf(directory)


def open_hf(directory: Path) -> Source:
    """The weights of a Hugging Face directory, names and shapes checked against config.json.

    Raises:
        Problem: what `shards.read` and `model_config.read` raise; a tensor missing, unexpected or misshapen.
    """
    if not directory.is_dir():
        raise Problem("there is no such directory", where=directory, fix="correct --load-dir")
    a = model_config.read(directory)
    stored = shards.read(directory)
    if a.tied and tensor_map.HEAD in stored:
        # some exporters write the shared matrix twice; config.json says which one counts
        del stored[tensor_map.HEAD]
    stored = {name: place for name, place in stored.items() if not name.endswith("rotary_emb.inv_freq")}
    wanted = tensor_map.shapes(a)
    _compare({name: place.shape for name, place in stored.items()}, wanted, directory)
    blocks = {name: [_whole(stored[name])] for name in wanted}
    return Source(a, dtypes.common({place.dtype for place in stored.values()}), blocks, {})


def open_mcore(directory: Path, iteration: int | None = None) -> Source:
    """The weights of an MCore checkpoint.

    Args:
        iteration: default: the one the tracker file names.

    Raises:
        Problem: no tracker, an incomplete set of ranks, files of other layouts, unreadable or unsafe files,
            tensors missing, unexpected or misshapen.
    """
    ranks = read_ranks(iteration_directory(directory, iteration))
    tp, pp = 1 + max(t for t, _ in ranks), 1 + max(p for _, p in ranks)
    first = ranks[0, 0]
    where = first.path
    args = first.args
    placed = stages([ranks[0, p] for p in range(pp)])
    layers = sum(len(chunk) for stage in placed for chunk in stage)
    embedding = first.chunks[0].get("embedding.word_embeddings.weight")
    if not isinstance(embedding, Stored):
        raise Problem("the first rank has no embedding.word_embeddings.weight", where=where)
    padded = embedding.shape[0] * tp
    a = arguments.from_args(args, layers, padded, where)
    grid = Grid(tp, padded, placed)
    blocks: dict[str, list[Block]] = defaultdict(list)
    copies: dict[str, list[Block]] = defaultdict(list)
    for (t, p), rank in ranks.items():
        for expected, chunk in zip(rank_slices(a, grid, t, p), rank.chunks, strict=True):
            found = {name: place for name, place in chunk.items() if isinstance(place, Stored)}
            _compare(
                {name: place.shape for name, place in found.items()},
                {name: piece.shape for name, piece in expected.items()},
                rank.path,
            )
            for name, piece in expected.items():
                for tensor, block in _invert(piece, found[name]):
                    known = any((b.top, b.left) == (block.top, block.left) for b in blocks[tensor])
                    (copies if known else blocks)[tensor].append(block)
    places = {r.path: [place for chunk in r.chunks for place in _tensors(chunk)] for r in ranks.values()}
    types = {place.dtype for held in places.values() for place in held}
    if len(types) > 1:
        raise Problem(
            "the tensors are not of one type", where=directory, found=", ".join(sorted(t.name for t in types))
        )
    storages = {rank.path: _holding(rank.storages, places[rank.path]) for rank in ranks.values()}
    size = sum(place.bytes for held in places.values() for place in held)
    entries = tuple(entry for rank in ranks.values() for entry in rank.entries)
    return Source(a, types.pop(), dict(blocks), dict(copies), grid, args, storages, size, entries)


def _invert(piece: Slice, stored: Stored) -> Iterator[tuple[str, Block]]:
    row = 0
    for s in piece.segments:
        if not s.padding:
            yield s.name, Block(s.top, s.bottom, s.left, s.right, stored, row)
        row += s.bottom - s.top


def _compare(found: dict[str, tuple], wanted: dict[str, tuple], where: Path) -> None:
    for name, shape in wanted.items():
        if name not in found:
            raise Problem(
                "a tensor is missing",
                where=f"{where}, {name}",
                found="not in any file",
                wanted=f"shape {shape}, as config.json or the saved args imply",
                fix="fetch or convert the weights again; check that config.json belongs to them",
            )
        if tuple(found[name]) != tuple(shape):
            raise Problem(
                "a tensor has another shape than the configuration implies",
                where=f"{where}, {name}",
                found=tuple(found[name]),
                wanted=tuple(shape),
                fix="check that config.json belongs to these weights",
            )
    extra = [name for name in found if name not in wanted]
    if extra:
        raise Problem(
            "there are tensors that the configuration does not imply",
            where=f"{where}, {extra[0]}",
            found=f"{len(extra)} such tensors",
            fix="check that config.json belongs to these weights (biases, experts, adapters are not converted)",
        )


def _tensors(chunk: dict[str, Any]) -> list[Stored]:
    return [value for value in chunk.values() if isinstance(value, Stored)]


def _holding(storages: list[tuple[int, int, int]], places: list[Stored]) -> list[tuple[int, int, int]]:
    """The storages that weights lie in; optimizer states, however large, are of no interest."""
    starts = [start for start, _, _ in storages]
    return [storages[i] for i in sorted({bisect_right(starts, place.offset) - 1 for place in places})]


def _whole(stored: Stored) -> Block:
    width = stored.shape[1] if len(stored.shape) > 1 else 1
    return Block(0, stored.shape[0], 0, width, stored, 0)
