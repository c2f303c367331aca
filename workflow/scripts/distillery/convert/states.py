"""Weights as dicts of numpy arrays: what training and generation read and write.

    state, args = load_rank(Path("mcore"), 0, 0)      # one rank's slice as it lies in the file
    state = load_state(Path("hf or mcore"))           # the whole model in MCore names, TP1 PP1
    state = load_state(path, Layout(2, 1), tp_rank=1) # a rank of any other layout
    digest = save(Path("mcore"), {(0, 0): state}, args, iteration=400)
    write_rank(Path("mp_rank_00"), state, args, 400)  # a rank's file alone, for one process per rank

Arrays are read-only views of mapped files wherever the bytes lie in one piece, and a whole state reads each one when
it is looked up, so loading costs no memory until they are used; interleaved q/k/v and gate/up are copies, and so is what lies askew in a file of MSAdapter, whose
container aligns nothing: compiled code takes aligned arrays only. bfloat16 arrays have ml_dtypes' dtype.
"""

from __future__ import annotations

import mmap
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from distillery import checksums
from distillery.architecture import Architecture
from distillery.checkpoint_names import RANK_FILE
from distillery.convert import arguments, copying, gather, mcore, stored_bytes, torchfile
from distillery.convert.dtypes import DType, common, of
from distillery.convert.mcore_layout import Layout, rank_directory
from distillery.convert.rank_files import iteration_directory, read_rank
from distillery.convert.slices import Slice, rank_slices
from distillery.convert.torchfile import Stored
from distillery.convert.weight_sources import Source, open_mcore, open_source
from distillery.problems import Problem

State = Mapping[str, np.ndarray]


def load_rank(
    directory: Path,
    tp_rank: int = 0,
    pp_rank: int = 0,
    iteration: int | None = None,
    *,
    checked: bool = False,
) -> tuple[dict[str, np.ndarray], Namespace]:
    """({MCore name: mapped array}, saved args) of one rank of an MCore checkpoint, as it lies in its file.

    Args:
        directory: holds the tracker file and iter_*; `iteration` overrides the tracker.
        checked: this rank's bytes are held against their CRC-32s first, and those of all ranks against the record.

    Raises:
        Problem: no such rank, unreadable or unsafe file, virtual pipeline chunks (use `load_state`), bytes that changed.
    """
    chosen = iteration_directory(Path(directory), iteration)
    path = chosen / rank_directory(tp_rank, pp_rank, 2)
    if pp_rank == 0 and not path.is_dir():
        path = chosen / rank_directory(tp_rank, 0, 1)
    if checked and (path / RANK_FILE).is_file():
        source = open_mcore(Path(directory), iteration)
        stored_bytes.of_source(Path(directory), source, {path / RANK_FILE}).run()
    return load_file(path / RANK_FILE)


def load_file(path: Path) -> tuple[dict[str, np.ndarray], Namespace]:
    """As `load_rank`, from one model_optim_rng.pt."""
    if not path.is_file():
        raise Problem("there is no such rank file", where=path, fix="check the layout in manifest.json")
    rank = read_rank(path)
    if len(rank.chunks) > 1:
        raise Problem(
            "a rank of virtual pipeline chunks is not one state", where=path, fix="reshard it without them"
        )
    return {n: mapped(s) for n, s in rank.chunks[0].items() if isinstance(s, Stored)}, rank.args


def load_state(
    directory: Path,
    layout: Layout | None = None,
    tp_rank: int = 0,
    pp_rank: int = 0,
    *,
    checked: bool = False,
) -> State:
    """{MCore name: array} of a rank of `layout` (default TP1 PP1: the whole model), from any directory.

    An array is read when it is looked up, each time anew: whoever goes through them holds one at a time.

    Args:
        directory: a Hugging Face model or an MCore checkpoint of any layout, which is merged.
        checked: all bytes are held against what was recorded when they were written, first.

    Raises:
        Problem: what `open_source` raises for incomplete weights, and `Layout.grid` for the layout; bytes that changed.
    """
    source = open_source(Path(directory))
    if checked:
        stored_bytes.of_source(Path(directory), source).run()
    layout = layout or Layout()
    (pieces,) = rank_slices(source.architecture, layout.grid(source.architecture), tp_rank, pp_rank)
    return _Pieces(pieces, source)


class _Pieces(Mapping[str, np.ndarray]):
    def __init__(self, pieces: dict[str, Slice], source: Source):
        self.pieces, self.source = pieces, source

    def __getitem__(self, name: str) -> np.ndarray:
        with gather.Reader() as reader:
            return _array(self.pieces[name], self.source, reader)

    def __contains__(self, name: object) -> bool:
        return name in self.pieces

    def __iter__(self) -> Iterator[str]:
        return iter(self.pieces)

    def __len__(self) -> int:
        return len(self.pieces)


def mapped(stored: Stored) -> np.ndarray:
    """A read-only view of a tensor in its file, or a copy if it lies askew there."""
    with stored.path.open("rb") as stream:
        view = mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ)
    array = np.ndarray(stored.shape, stored.dtype.numpy, view, stored.offset)
    return array if array.flags.aligned else array.copy()


def _array(piece: Slice, source: Source, reader: gather.Reader) -> np.ndarray:
    places = list(gather.bands(piece, source.blocks))
    if len(places) == 1 and len(places[0][1]) == 1 and _straight(places[0][1][0].stored):
        part = places[0][1][0]
        view = mapped(part.stored)
        view = view[part.row : part.row + piece.shape[0]]
        return view if view.ndim == 1 else view[:, part.left : part.left + part.width]
    dtype = common({part.stored.dtype for _, parts in places for part in parts})
    data = np.empty(piece.shape, dtype.numpy)
    raw, done = data.reshape(-1).view(np.uint8), 0
    for chunk in gather.chunks(piece, source, reader, dtype):
        raw[done : done + chunk.size] = chunk
        done += chunk.size
    return data


def _straight(stored: Stored) -> bool:
    return stored.offset % stored.dtype.itemsize == 0


def save(
    save_dir: Path,
    ranks: Mapping[tuple[int, int], State],
    args: Namespace,
    iteration: int,
    **facts: Any,
) -> dict[str, Any]:
    """Write a whole MCore checkpoint; returns its manifest, whose payload_digest names the weights.

    Args:
        ranks: {(tensor rank, pipeline rank): {MCore name: array of bf16, fp16 or fp32}}.
        args: as a loaded checkpoint's, or `make_args`; sizes, type and iteration in it are set anew.

    Raises:
        Problem: arrays of other or several types, a full disk. An older iteration then stays what it was.
    """
    save_dir = Path(save_dir)
    tp, pp = 1 + max(t for t, _ in ranks), 1 + max(p for _, p in ranks)
    if set(ranks) != {(t, p) for t in range(tp) for p in range(pp)}:
        raise Problem(
            "the set of ranks is incomplete", where=save_dir, found=sorted(ranks), wanted=f"{tp} x {pp}"
        )
    sizes = {"tensor_model_parallel_size": tp, "pipeline_model_parallel_size": pp}
    args = Namespace(**{**vars(args), **sizes})
    entries: list[mcore.Entry] = []
    dtype = _dtype(next(iter(ranks.values())))
    with mcore.publication(save_dir, iteration) as staging:
        for (t, p), state in ranks.items():
            entries += write_rank(staging.directory / rank_directory(t, p, pp), state, args, iteration)
        layout = _layout(args, tp, pp)
        staging.manifest = mcore.manifest(staging.directory, iteration, layout, dtype, entries, **facts)
    return staging.manifest


def write_rank(directory: Path, state: State, args: Namespace, iteration: int) -> list[mcore.Entry]:
    """Write DIRECTORY/model_optim_rng.pt; returns (file, tensor, type, shape, CRC-32) of every tensor.

    For trainers with one process per rank: each writes into a hidden directory, and who renames it passes
    all entries to `mcore.payload_digest`. Not atomic by itself.

    Raises:
        Problem: arrays of other or several types, a full disk.
    """
    dtype = _dtype(state)
    changed = {"iteration": iteration, "bf16": dtype.name == "bf16", "fp16": dtype.name == "fp16"}
    plain = {key: value for key, value in vars(args).items() if _is_plain(value)}
    plan = mcore.container([{n: v.shape for n, v in state.items()}], Namespace(**{**plain, **changed}), dtype)
    path = directory / RANK_FILE
    directory.mkdir(parents=True, exist_ok=True)
    crcs = []
    with copying.taught(path, plan.size), path.open("wb") as stream:
        for offset, value in zip(plan.offsets, state.values(), strict=True):
            data = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
            crcs.append(checksums.crc32(data))
            torchfile.write_at(stream.fileno(), data, offset)
        plan.finish(stream.fileno(), crcs)
    name = f"{directory.name}/{RANK_FILE}"
    return [(name, n, dtype.name, v.shape, crc) for (n, v), crc in zip(state.items(), crcs, strict=True)]


def make_args(
    a: Architecture, dtype: DType | str, layout: Layout | None = None, iteration: int = 1
) -> Namespace:
    """The args of a fresh checkpoint, for `save` without a loaded one."""
    layout = layout or Layout()
    return arguments.build(a, layout, of(dtype), layout.grid(a).padded_vocab_size, iteration)


def _dtype(state: State) -> DType:
    found = {value.dtype for value in state.values()}
    if len(found) != 1:
        raise Problem("the arrays of a checkpoint must be of one type", found=sorted(map(str, found)))
    return of(np.dtype(found.pop()))


def _layout(args: Namespace, tp: int, pp: int) -> Layout:
    stages = getattr(args, "num_layer_list", None)
    divisor = getattr(args, "make_vocab_size_divisible_by", None) or 1
    return Layout(
        tp,
        pp,
        tuple(int(n) for n in stages.split(",")) if isinstance(stages, str) else None,
        make_vocab_size_divisible_by=divisor,
    )


def _is_plain(value: Any) -> bool:
    """Whether a saved argument can be written again: enums and types of other frameworks cannot."""
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))
