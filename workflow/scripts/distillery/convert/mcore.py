"""MCore checkpoint directories, written whole: rank files staged, renamed together, tracker last.

SAVE/iter_0000001/mp_rank_00/model_optim_rng.pt ...   SAVE/manifest.json
SAVE/latest_checkpointed_iteration.txt
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from distillery import digests, files, one_writer, provenance
from distillery.checkpoint_names import TRACKER, iteration_name
from distillery.convert.dtypes import DType
from distillery.convert.mcore_layout import Layout
from distillery.convert.torchfile import Blank, Container
from distillery.digests import MANIFEST
from distillery.problems import Problem

Entry = tuple[str, str, str, tuple[int, ...], int]  # (file, tensor, type, shape, CRC-32)


def container(chunks: list[dict[str, tuple[int, ...]]], args: Namespace, dtype: DType) -> Container:
    """The plan of a rank file.

    Args:
        chunks: {MCore name: shape} of each virtual chunk; one chunk is called `model`, more model0, model1, ...
    """
    models = [OrderedDict((name, Blank(shape, dtype)) for name, shape in chunk.items()) for chunk in chunks]
    keys = ["model"] if len(models) == 1 else [f"model{i}" for i in range(len(models))]
    # keys and their order are those of MindSpeed-LLM 2.2.0's convert_ckpt.py
    return Container(
        {
            "args": args,
            "checkpoint_version": 3.0,
            "iteration": args.iteration,
            **dict(zip(keys, models, strict=True)),
            "rerun_state_machine": None,
            "num_floating_point_operations_so_far": 0,
        }
    )


def payload_digest(entries: Iterable[Entry]) -> str:
    """Content identity of a set of tensors: sha256 over (file, name, type, shape, CRC-32), sorted."""
    return provenance.digest(
        sorted([file, name, dtype, list(shape), crc] for file, name, dtype, shape, crc in entries)
    )


def manifest(
    directory: Path, iteration: int, layout: Layout, dtype: DType, entries: list[Entry], **more: Any
) -> dict[str, Any]:
    """What manifest.json says: equal weights in an equal layout give equal bytes.

    Args:
        directory: the iteration directory, or where it is staged, complete.
    """
    names = sorted({file for file, *_ in entries})
    listed = [
        {"name": f"{iteration_name(iteration)}/{n}", "bytes": (directory / n).stat().st_size} for n in names
    ]
    return {
        "format": "mcore",
        "iteration": iteration,
        "layout": asdict(layout),
        "dtype": dtype.name,
        "files": listed,
        "payload_digest": payload_digest(entries),
        **more,
    }


@dataclass
class Publication:
    """What is about to appear: rank files in `directory`, and `manifest`, to be set once they are whole."""

    directory: Path
    manifest: dict[str, Any] = field(default_factory=dict)


@contextmanager
def publication(save_dir: Path, iteration: int) -> Iterator[Publication]:
    """Stage an iteration; on success rank set, manifest and, last, tracker appear by renaming, else nothing does.

    All is written before the first rename, so that a full disk cannot hit between them. An older checkpoint
    in `save_dir` stays whole until then, and loses its tracker first.
    """
    staged = {name: save_dir / f".{name}.next" for name in (MANIFEST, TRACKER)}
    with one_writer.of(save_dir):
        save_dir.mkdir(exist_ok=True)
        try:
            with (
                _back_on_failure(save_dir),
                files.atomic_directory(save_dir / iteration_name(iteration)) as directory,
            ):
                staging = Publication(directory)
                yield staging
                files.write_json(staged[MANIFEST], staging.manifest)
                files.write_text(staged[TRACKER], str(iteration))
                for name in (TRACKER, MANIFEST):
                    if (save_dir / name).exists():
                        os.replace(save_dir / name, save_dir / f".{name}.old")
            files.remove(digests.beside(save_dir / MANIFEST))
            for name, path in staged.items():
                os.replace(path, save_dir / name)
            digests.record(save_dir / MANIFEST)
        finally:
            for path in staged.values():
                path.unlink(missing_ok=True)


def withdraw(save_dir: Path) -> None:
    """Make a checkpoint that is about to be replaced invisible: tracker first."""
    for name in (TRACKER, MANIFEST, digests.beside(save_dir / MANIFEST).name):
        (save_dir / name).unlink(missing_ok=True)


@contextmanager
def _back_on_failure(save_dir: Path) -> Iterator[None]:
    """Manifest and tracker that stepped aside come back on an exception, tracker last; without one they are gone."""
    try:
        yield
    except BaseException:
        for name in (MANIFEST, TRACKER):
            if (save_dir / f".{name}.old").exists():
                os.replace(save_dir / f".{name}.old", save_dir / name)
        raise
    for name in (MANIFEST, TRACKER):
        (save_dir / f".{name}.old").unlink(missing_ok=True)


def check_target(save_dir: Path) -> None:
    """Refuse a directory that holds a Hugging Face model.

    Raises:
        Problem: it has a config.json.
    """
    if (save_dir / "config.json").exists():
        raise Problem(
            "the output directory holds a Hugging Face model",
            where=save_dir,
            fix="give --save-dir a directory of its own",
        )
