"""Proof that a conversion lost nothing: every Hugging Face tensor, read back from the rank files, by sha256.

The exact payload that the layout implies is the gate. The guide's rule of thumb, sizes within 5 %, is reported
beside it with its legitimate causes; it alone would miss swapped heads and rounding.
"""

from __future__ import annotations

import hashlib
import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from distillery import progress
from distillery.convert import tensor_map
from distillery.convert.convert import whole
from distillery.convert.dtypes import DType
from distillery.convert.gather import Reader, chunks
from distillery.convert.slices import rank_slices
from distillery.convert.weight_sources import Source
from distillery.problems import Problem

TOLERANCE = 0.05  # the guide's


def round_trip(hf: Source, mcore: Source) -> dict[str, Any]:
    """{tensors, elements, sha256 of each tensor, payload}: what the report shows.

    MCore tensors are put together as an export would, in the type of `hf`.

    Raises:
        Problem: a tensor differs, or the rank files hold more or less than their layout implies.
    """
    names = list(hf.blocks)
    shapes = tensor_map.shapes(hf.architecture)
    same = {
        key: value
        for key, value in vars(mcore.architecture).items()
        if key.startswith(("num", "hidden", "ffn"))
    }
    for key, value in same.items():
        if getattr(hf.architecture, key) != value:
            raise Problem(
                "these are different models", where=key, found=value, wanted=getattr(hf.architecture, key)
            )
    progress.begin("tensors", len(names))
    with Reader() as reader, ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:

        def digests(name: str) -> tuple[str, str]:
            piece = whole(name, shapes[name])
            both = _sha256(piece, hf, hf.dtype, reader), _sha256(piece, mcore, hf.dtype, reader)
            progress.add(1)
            return both

        found = dict(zip(names, pool.map(digests, names), strict=True))
        copies = _differing_copies(mcore, reader)
    differing = [name for name, (there, back) in found.items() if there != back] + copies
    if differing:
        raise Problem(
            "weights changed on their way to MCore and back",
            where=differing[0],
            found=f"{len(differing)} of {len(names)} tensors differ: {', '.join(differing[:4])}"
            + (" ..." if len(differing) > 4 else ""),
            wanted="the same bytes",
            fix=f"convert again with --params-dtype {hf.dtype.name} or wider"
            if mcore.dtype != hf.dtype
            else "convert again from these Hugging Face weights",
        )
    return {
        "tensors": len(names),
        "elements": hf.architecture.num_parameters,
        "sha256": {name: there for name, (there, _) in sorted(found.items())},
        "payload": payload(hf, mcore),
    }


def payload(hf: Source, mcore: Source) -> dict[str, Any]:
    """Bytes of tensors on both sides, what the layout implies, and the 5 % rule with the causes of an excess.

    Raises:
        Problem: the rank files do not hold exactly what their layout implies.
    """
    a, grid = mcore.architecture, mcore.grid
    wanted = sum(
        math.prod(piece.shape) * mcore.dtype.itemsize
        for t, p in (grid.ranks if grid else [])
        for chunk in rank_slices(a, grid, t, p)
        for piece in chunk.values()
    )
    held = mcore.tensor_bytes
    if held != wanted:
        raise Problem(
            "the rank files hold other amounts than their layout implies",
            found=f"{held:,} bytes of tensors",
            wanted=f"{wanted:,} bytes",
            fix="convert again",
        )
    original = hf.architecture.num_parameters * hf.dtype.itemsize
    ratio = wanted / original
    return {
        "hf_bytes": original,
        "mcore_bytes": wanted,
        "ratio": round(ratio, 6),
        "within_5_percent": abs(ratio - 1) <= TOLERANCE,
        "causes": [] if abs(ratio - 1) <= TOLERANCE else _causes(hf, mcore),
    }


def _causes(hf: Source, mcore: Source) -> list[str]:
    """Why sizes may legitimately differ, largest first to be looked at."""
    a, grid, causes = mcore.architecture, mcore.grid, []
    if mcore.dtype.itemsize != hf.dtype.itemsize:
        causes.append(
            f"{mcore.dtype.name} takes {mcore.dtype.itemsize} bytes, {hf.dtype.name} {hf.dtype.itemsize}"
        )
    if grid and a.tied and grid.pipeline_parallel_size > 1:
        size = a.vocab_size * a.hidden_size * mcore.dtype.itemsize
        causes.append(f"tied embeddings: the last pipeline rank carries a copy ({size:,} bytes)")
    if grid and grid.padded_vocab_size > hf.architecture.vocab_size:
        causes.append(f"vocabulary padded from {hf.architecture.vocab_size} to {grid.padded_vocab_size} rows")
    if grid and grid.tensor_parallel_size > 1:
        norms = (
            (2 * a.num_layers + 1) * a.hidden_size * (grid.tensor_parallel_size - 1) * mcore.dtype.itemsize
        )
        causes.append(f"norms on every tensor rank ({norms:,} bytes; counts in tiny models only)")
    return causes


def _differing_copies(source: Source, reader: Reader) -> list[str]:
    """Tensors whose replicas (norms on tensor ranks, the tied embedding's copy) are not equal."""
    differing = []
    for name, copies in source.copies.items():
        for copy in copies:
            first = next(b for b in source.blocks[name] if (b.top, b.left) == (copy.top, copy.left))
            rows = slice(0, copy.bottom - copy.top)
            one, other = reader.mapped(first.stored)[first.row :], reader.mapped(copy.stored)[copy.row :]
            step = 1 + (1 << 20) // one.shape[1]
            for top in range(0, rows.stop, step):
                span = slice(top, min(top + step, rows.stop))
                if not (one[span] == other[span]).all():
                    differing.append(name)
                    break
    return sorted(set(differing))


def _sha256(piece: Any, source: Source, dtype: DType, reader: Reader) -> str:
    digest = hashlib.sha256()
    for chunk in chunks(piece, source, reader, dtype):
        digest.update(chunk)
    return digest.hexdigest()
