"""Rank files of an MCore checkpoint, as they lie in an iteration directory: found, complete, in order."""

from __future__ import annotations

import re
import zlib
from argparse import Namespace
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery.checkpoint_names import RANK_FILE, TRACKER, iteration_name, tracked
from distillery.convert import torchfile
from distillery.convert.mcore_layout import Chunk, rank_directory
from distillery.convert.torchfile import Stored
from distillery.problems import Problem

# with Transformer Engine a norm's weight lies in the linear layer that follows it
FUSED_NORMS = {
    "self_attention.linear_qkv.layer_norm_weight": "input_layernorm.weight",
    "mlp.linear_fc1.layer_norm_weight": "pre_mlp_layernorm.weight",
}


@dataclass(frozen=True)
class Rank:
    """One rank file: its tensors by MCore name, per virtual chunk."""

    path: Path
    args: Namespace
    chunks: list[dict[str, Any]]
    storages: list[tuple[int, int, int]]

    @property
    def entries(self) -> list[tuple[str, str, str, tuple[int, ...], int]]:
        """(file, tensor, type, shape, CRC-32 as the container has it) of each tensor.

        A tensor that shares its storage, as views of one flat buffer do, has no checksum of its own there: the CRC-32 of
        the storage's and of its place in it stands for it.
        """
        file = f"{self.path.parent.name}/{self.path.name}"
        starts = [start for start, _, _ in self.storages]
        found = []
        for name, one in ((name, one) for chunk in self.chunks for name, one in chunk.items()):
            if isinstance(one, Stored):
                start, size, crc = self.storages[bisect_right(starts, one.offset) - 1]
                if (start, size) != (one.offset, one.bytes):
                    crc = zlib.crc32(f"{crc} {one.offset - start}".encode())
                found.append((file, name, one.dtype.name, one.shape, crc))
        return found


def read_rank(path: Path) -> Rank:
    """One model_optim_rng.pt; optimizer and random states are ignored."""
    contents = torchfile.read(path)
    objects = contents.objects
    keys = sorted((k for k in objects if re.fullmatch(r"model\d*", str(k))), key=lambda k: int(k[5:] or 0))
    if not keys or not isinstance(objects.get("args"), Namespace):
        raise Problem(
            "not a Megatron checkpoint: it has no model or no args",
            where=path,
            found=", ".join(map(str, objects)),
            wanted="args and model (or model0, model1, ...)",
        )
    chunks = [{_plain(name): value for name, value in objects[key].items()} for key in keys]
    return Rank(path, objects["args"], chunks, contents.storages)


def iteration_directory(directory: Path, iteration: int | str | None = None) -> Path:
    """DIR/iter_XXXXXXX (or DIR/release) that the tracker file, or `iteration`, names."""
    tracker = directory / TRACKER
    if iteration is None:
        if not tracker.is_file():
            raise Problem(
                "not a whole MCore checkpoint: the tracker file, written last, is not there",
                where=tracker,
                fix="convert again, or correct --load-dir (the directory that holds iter_*)",
            )
        iteration = tracked(tracker)
    path = directory / (iteration if isinstance(iteration, str) else iteration_name(iteration))
    if not path.is_dir():
        raise Problem("the iteration that the tracker names is not there", where=path, fix="convert again")
    return path


def read_ranks(directory: Path) -> dict[tuple[int, int], Rank]:
    """{(tensor rank, pipeline rank): file} of an iteration directory.

    Raises:
        Problem: a rank is missing, or belongs to another layout than its directory's name.
    """
    found = {}
    for path in sorted(directory.glob("mp_rank_*")):
        match = re.fullmatch(r"mp_rank_(\d\d)(?:_(\d\d\d))?", path.name)
        if match is None:
            raise Problem(
                "a rank directory of a layout that is not read here (experts?)",
                where=path,
                wanted="mp_rank_TT or mp_rank_TT_PPP",
            )
        found[int(match[1]), int(match[2] or 0)] = path / RANK_FILE
    tp = 1 + max((t for t, _ in found), default=0)
    pp = 1 + max((p for _, p in found), default=0)
    for p in range(pp):
        for t in range(tp):
            path = found.get((t, p), directory / rank_directory(t, p, pp) / RANK_FILE)
            if not path.is_file():
                raise Problem(
                    "the set of rank files is incomplete",
                    where=path,
                    found=f"{len(found)} rank directories",
                    wanted=f"{tp} tensor x {pp} pipeline ranks",
                    fix="copy the missing file, or convert again",
                )
    ranks = {(t, p): read_rank(found[t, p]) for p in range(pp) for t in range(tp)}
    for rank in ranks.values():
        saved = tuple(
            getattr(rank.args, f"{kind}_model_parallel_size", None) or size
            for kind, size in [("tensor", tp), ("pipeline", pp)]
        )
        if saved != (tp, pp):
            raise Problem(
                "a rank file belongs to another layout than its directory",
                where=rank.path,
                found=f"saved with tensor, pipeline sizes {saved}",
                wanted=f"{(tp, pp)}, as many as there are directories",
                fix="copy the missing ranks, or remove those of another conversion",
            )
    return ranks


def stages(column: list[Rank]) -> tuple[tuple[Chunk, ...], ...]:
    """Which Hugging Face layers each stage holds, numbered in the order of the pipeline.

    The virtual chunk is outer, the stage inner. Empty layers are simply not there, so neither they nor a layer list
    need to be told.

    Args:
        column: the ranks of one tensor rank, by pipeline rank.
    """
    present = [
        [
            sorted({int(m[1]) for name in chunk if (m := re.match(r"decoder\.layers\.(\d+)\.", name))})
            for chunk in r.chunks
        ]
        for r in column
    ]
    counts = {len(stage) for stage in present}
    if len(counts) > 1:
        raise Problem(
            "pipeline ranks have different numbers of virtual chunks",
            where=column[0].path,
            found=sorted(counts),
        )
    numbers = iter(range(sum(len(chunk) for stage in present for chunk in stage)))
    table: list[list[Any]] = [[() for _ in stage] for stage in present]
    for c in range(counts.pop()):
        for p, stage in enumerate(present):
            table[p][c] = tuple((local, next(numbers)) for local in stage[c])
    return tuple(tuple(stage) for stage in table)


def _plain(name: str) -> str:
    for fused, plain in FUSED_NORMS.items():
        if name.endswith(fused):
            return name.removesuffix(fused) + plain
    return name
