"""Hugging Face weight files: headers read and checked against sizes and index, new shards laid out at 5 GB.

Format: https://huggingface.co/docs/safetensors#format (u64 length, JSON header, tensors without gaps).
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery import json_files, safetensors_header
from distillery.convert.dtypes import DType, of
from distillery.convert.torchfile import Stored
from distillery.problems import Problem

INDEX = "model.safetensors.index.json"
SHARD_BYTES = 5 * 10**9  # transformers' limit of a shard
REFETCH = "fetch the file again and compare its sha256 with the hub's"


def read(directory: Path) -> dict[str, Stored]:
    """{tensor name: place} of all weights of a Hugging Face directory.

    Raises:
        Problem: no safetensors, a shard missing, cut off or longer than its header says, an index and headers
            that disagree, a quantised type.
    """
    index, weight_map = directory / INDEX, None
    if index.is_file():
        weight_map = json_files.read(index)["weight_map"]
        names = sorted(set(weight_map.values()))
    else:
        names = sorted(path.name for path in directory.glob("*.safetensors"))
    if not names:
        raise Problem(
            "the model directory has no safetensors weights",
            where=directory,
            found=", ".join(sorted(path.name for path in directory.glob("*.*"))) or "nothing",
            wanted="model.safetensors, or shards with model.safetensors.index.json",
            fix="fetch the safetensors files; pytorch_model.bin is not read",
        )
    tensors: dict[str, Stored] = {}
    for name in names:
        for tensor, stored in _header(directory / name).items():
            if tensor in tensors:
                raise Problem(
                    "two shards hold the same tensor",
                    where=f"{directory / name}, {tensor}",
                    found=f"also in {tensors[tensor].path.name}",
                    fix="remove the shard that belongs to another download",
                )
            tensors[tensor] = stored
    for tensor, name in (weight_map or {}).items():
        held = tensors[tensor].path.name if tensor in tensors else "no shard"
        if held != name:
            raise Problem(
                "the index and the shards disagree",
                where=f"{index}, {tensor}",
                found=held,
                wanted=name,
                fix=REFETCH,
            )
    extra = sorted(set(tensors) - set(weight_map)) if weight_map is not None else []
    if extra:
        raise Problem(
            "the shards hold tensors that the index does not list",
            where=index,
            found=f"{extra[0]} in {tensors[extra[0]].path.name} ({len(extra)} in all)",
            fix=REFETCH,
        )
    return tensors


def _header(path: Path) -> dict[str, Stored]:
    if not path.is_file():
        raise Problem("a shard is missing", where=path, fix=REFETCH)
    try:
        header = safetensors_header.read(path)
    except ValueError as error:
        found = f"{path.stat().st_size} bytes, {error}"
        raise Problem("not a whole safetensors file", where=path, found=found, fix=REFETCH) from None
    tensors = {}
    for name, entry in header.items():
        stored = Stored(path, entry.start, entry.shape, of(entry.dtype, f"{path}, {name}"))
        if stored.bytes != entry.end - entry.start:
            raise Problem(
                "a tensor's bytes do not fit its shape and type",
                where=f"{path}, {name}",
                found=f"{entry.end - entry.start} bytes",
                wanted=f"{stored.bytes} bytes",
                fix=REFETCH,
            )
        tensors[name] = stored
    return tensors


@dataclass(frozen=True)
class Shard:
    """A weight file to be written: its header's bytes, and where each tensor's bytes go."""

    name: str
    prelude: bytes
    offsets: dict[str, int]
    size: int


def plan(shapes: dict[str, tuple[int, ...]], dtype: DType) -> list[Shard]:
    """Shards in the order of `shapes`, each at most SHARD_BYTES of tensors (or one larger tensor)."""
    groups: list[dict[str, int]] = [{}]
    for name, shape in shapes.items():
        size = math.prod(shape) * dtype.itemsize
        if groups[-1] and sum(groups[-1].values()) + size > SHARD_BYTES:
            groups.append({})
        groups[-1][name] = size
    count = len(groups)
    shards = []
    for number, group in enumerate(groups, 1):
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        cursor = 0
        for name, size in group.items():
            header[name] = {
                "dtype": dtype.safetensors,
                "shape": list(shapes[name]),
                "data_offsets": [cursor, cursor + size],
            }
            cursor += size
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)  # tensors start at a multiple of 8
        start = 8 + len(text)
        offsets = {name: start + header[name]["data_offsets"][0] for name in group}
        name = "model.safetensors" if count == 1 else f"model-{number:05d}-of-{count:05d}.safetensors"
        shards.append(Shard(name, struct.pack("<Q", len(text)) + text, offsets, start + cursor))
    return shards


def index(shards: list[Shard]) -> dict[str, Any]:
    """The content of model.safetensors.index.json."""
    total = sum(shard.size - len(shard.prelude) for shard in shards)
    weight_map = {tensor: shard.name for shard in shards for tensor in shard.offsets}
    return {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
