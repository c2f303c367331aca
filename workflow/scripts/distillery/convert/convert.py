"""The three conversions: any source to MCore in any layout, MCore to Hugging Face."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from distillery import digests, files, late_files, model_config, provenance
from distillery.architecture import Architecture
from distillery.checkpoint_names import DONE, RANK_FILE
from distillery.convert import arguments, copying, export, mcore, shards, tensor_map
from distillery.convert.copying import Output
from distillery.convert.dtypes import DType
from distillery.convert.mcore_layout import Layout, rank_directory
from distillery.convert.slices import Segment, Slice, rank_slices
from distillery.convert.stored_bytes import NOTHING, Checks
from distillery.convert.torchfile import write_at
from distillery.convert.weight_sources import Source
from distillery.digests import MANIFEST
from distillery.problems import Problem

Progress = Callable[[int], None]
# no tensor's shape depends on them, and the reference does not always save them
SETTINGS = ("max_position_embeddings", "norm_epsilon", "rotary_base", "rope_scaling", "sliding_window")


def to_mcore(
    source: Source,
    layout: Layout,
    dtype: DType,
    save_dir: Path,
    *,
    iteration: int = 1,
    facts: dict[str, Any],
    progress: Progress = lambda count: None,
    checks: Checks = NOTHING,
) -> dict[str, Any]:
    """Write `source` as an MCore checkpoint; returns the content of its manifest.json.

    Args:
        facts: what the manifest says besides, e.g. source_digest.
        checks: of the source's bytes, made with the copying; nothing appears unless all return.

    Raises:
        Problem: the layout does not fit the model, the disk is full, a weight does not fit the type.
    """
    a = source.architecture
    grid = layout.grid(a)
    args = arguments.build(a, layout, dtype, grid.padded_vocab_size, iteration)
    plans = []
    for t, p in grid.ranks:
        pieces = rank_slices(a, grid, t, p)
        plan = mcore.container([{n: s.shape for n, s in chunk.items()} for chunk in pieces], args, dtype)
        name = f"{rank_directory(t, p, grid.pipeline_parallel_size)}/{RANK_FILE}"
        plans.append((name, plan, [(n, s) for chunk in pieces for n, s in chunk.items()]))
    _check_space(save_dir, sum(plan.size for _, plan, _ in plans))
    with mcore.publication(save_dir, iteration) as staging:
        outputs = [
            Output(
                staging.directory / name,
                plan.size,
                dtype,
                [(offset, piece) for offset, (_, piece) in zip(plan.offsets, pieces, strict=True)],
                plan.finish,
            )
            for name, plan, pieces in plans
        ]
        crcs = copying.write(outputs, source, progress, checks)
        entries = [
            (name, tensor, dtype.name, piece.shape, crc)
            for (name, _, pieces), found in zip(plans, crcs, strict=True)
            for (tensor, piece), crc in zip(pieces, found, strict=True)
        ]
        staging.manifest = mcore.manifest(staging.directory, iteration, layout, dtype, entries, **facts)
    return staging.manifest


def to_hf(
    source: Source,
    original: Path,
    dtype: DType,
    save_dir: Path,
    *,
    template: dict[str, Any] | None = None,
    sampling: Mapping[str, float] | None = None,
    facts: dict[str, Any],
    progress: Progress = lambda count: None,
    checks: Checks = NOTHING,
) -> dict[str, Any]:
    """Write an MCore source as a Hugging Face directory; returns the content of its manifest.json.

    Args:
        original: the Hugging Face directory whose config, tokenizer and generation settings are carried.
        template: the record of the chat template the model was tuned with, see `export.side_files`; so is `sampling`.

    Raises:
        Problem: the original is of another shape; `save_dir` holds files that no export wrote; as `to_mcore`.
    """
    a = model_config.read(original)
    same_model(source.architecture, a, original)
    shapes = tensor_map.shapes(a)
    plans = shards.plan(shapes, dtype)
    side = export.side_files(original, dtype, template, sampling)
    if len(plans) > 1:
        side[shards.INDEX] = export.as_json(shards.index(plans))
    export.check_target(save_dir)
    _check_space(save_dir, sum(plan.size for plan in plans))
    with files.atomic_directory(save_dir) as staging:
        outputs = [
            Output(
                staging / plan.name,
                plan.size,
                dtype,
                [(offset, whole(name, shapes[name])) for name, offset in plan.offsets.items()],
                lambda fd, crcs, prelude=plan.prelude: write_at(fd, prelude, 0),
            )
            for plan in plans
        ]
        crcs = copying.write(outputs, source, progress, checks)
        for name, data in side.items():
            (staging / name).write_bytes(data)
        entries = [
            (plan.name, tensor, dtype.name, shapes[tensor], crc)
            for plan, found in zip(plans, crcs, strict=True)
            for tensor, crc in zip(plan.offsets, found, strict=True)
        ]
        content = export.manifest(staging, plans, list(side), dtype, entries, template, facts)
        digests.write_json(staging / MANIFEST, content)
    return content


def whole(name: str, shape: tuple[int, ...]) -> Slice:
    """All of a Hugging Face tensor."""
    width = shape[1] if len(shape) > 1 else 1
    return Slice(shape, (Segment(name, 0, shape[0], 0, width),))


def source_digest(directory: Path) -> str | None:
    """Identity of the source by its manifest.json or a trained checkpoint's done.json; None if it has neither."""
    for name in (DONE, MANIFEST):
        if late_files.there(directory / name):
            content = digests.read_json(directory / name)
            return content.get("payload_digest") or provenance.digest(content.get("files"))
    return None


def same_model(found: Architecture, wanted: Architecture, original: Path) -> None:
    """The shapes that a checkpoint was saved with are those of config.json.

    Raises:
        Problem: a setting that shapes tensors differs.
    """
    for key, value in vars(wanted).items():
        held = getattr(found, key)
        if key in SETTINGS:
            continue
        if held != value and not (key == "vocab_size" and held > value):  # its args may count padding
            raise Problem(
                "the checkpoint and config.json describe different models",
                where=f"{original / 'config.json'}, {key}",
                found=f"{value}; the checkpoint's is {held}",
                fix="point --hf-cfg-dir to the Hugging Face model that this checkpoint was made from",
            )


def _check_space(directory: Path, needed: int) -> None:
    """Fail before the first byte where the file system can already tell."""
    existing = next(parent for parent in (directory, *directory.absolute().parents) if parent.is_dir())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise Problem(
            "there is not enough free space for the converted weights",
            where=directory,
            found=f"{free:,} bytes free",
            wanted=f"{needed:,} bytes",
            fix="free space, or choose another --save-dir",
        )
