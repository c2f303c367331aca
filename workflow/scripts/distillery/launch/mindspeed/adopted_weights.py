"""Weights as MindSpeed-LLM left them, taken over: opened, read whole, held against their checksums.

What convert_ckpt.py wrote is moved into place with our manifest; what training wrote stays where it is. The payload
digest is over names, types, shapes and CRC-32s of tensors: where it equals that of our own conversion of the same
model, the two converters agree to the bit.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from distillery import checksums, digests, files, model_config
from distillery.convert import (
    convert,
    dtypes,
    export,
    mcore,
    rank_files,
    shards,
    stored_bytes,
    weight_sources,
)
from distillery.convert.mcore_layout import Layout
from distillery.convert.torchfile import Stored
from distillery.digests import MANIFEST
from distillery.experiment import Layout as Asked
from distillery.problems import Problem


def adopt_mcore(directory: Path, asked: Asked, *, load: Path, save: Path) -> dict[str, Any]:
    """Move an MCore checkpoint to `save` and return its manifest.

    Args:
        load: the Hugging Face directory that it was converted from.

    Raises:
        Problem: ranks or tensors are missing, misshapen or damaged; another model, layout or type than asked for.
    """
    source = weight_sources.open_mcore(directory)
    model = model_config.read(load)
    convert.same_model(source.architecture, model, load)
    layout = Layout(asked.tensor_parallel_size, asked.pipeline_parallel_size, asked.num_layer_list)
    grid, dtype = layout.grid(model), dtypes.of(asked.params_dtype)
    _same(directory, "layout", source.grid, grid)
    _same(directory, "type", source.dtype.name, dtype.name)
    place = rank_files.iteration_directory(directory)
    stored_bytes.of_storages(source).run()
    iteration = 1 if place.name == "release" else int(place.name.removeprefix("iter_"))
    with mcore.publication(save, iteration) as staging:
        for path in list(place.iterdir()):
            os.replace(path, staging.directory / path.name)
        digest = convert.source_digest(load)
        staging.manifest = mcore.manifest(
            staging.directory, iteration, layout, dtype, list(source.entries), source_digest=digest
        )
    return staging.manifest


def trained_payload(directory: Path, iteration: int, tensor: int, pipeline: int, model: Path) -> str:
    """The payload digest of a trained MCore checkpoint, all of whose weights were read; the optimizer's were not.

    Args:
        tensor, pipeline: ranks that the training had of each kind.
        model: the Hugging Face directory of the model that was trained.

    Raises:
        Problem: ranks or tensors are missing, misshapen or damaged; another model or layout.
    """
    source = weight_sources.open_mcore(directory, iteration)
    place = rank_files.iteration_directory(directory, iteration)
    assert source.grid is not None  # as every MCore checkpoint has one
    found = (source.grid.tensor_parallel_size, source.grid.pipeline_parallel_size)
    if found != (tensor, pipeline):
        raise Problem(
            "the trained checkpoint has another layout than the training",
            where=place,
            found=f"tensor, pipeline sizes {found}",
            wanted=f"{(tensor, pipeline)}",
            fix="ranks are missing or of another run: look at the ranks' logs",
        )
    convert.same_model(source.architecture, model_config.read(model), model)
    stored_bytes.of_storages(source).run()
    return mcore.payload_digest(source.entries)


def adopt_hf(
    directory: Path,
    params_dtype: str,
    *,
    load: Path,
    original: Path,
    save: Path,
    sampling: Mapping[str, float],
) -> dict[str, Any]:
    """Move safetensors to `save`, with config and tokenizer of `original`, and return the manifest.

    Args:
        load: the MCore checkpoint that they were converted from; the template it was tuned with is handed on.
        sampling: defaults for generation_config.json, see `export.side_files`.

    Raises:
        Problem: weights are missing, misshapen or of another type than asked for.
    """
    dtype, template = dtypes.of(params_dtype), export.template_of(load)
    side = export.side_files(original, dtype, template, sampling)
    if (directory / shards.INDEX).is_file():
        side[shards.INDEX] = (directory / shards.INDEX).read_bytes()
    export.check_target(save)
    with files.atomic_directory(save) as staging:
        for path in sorted(directory.glob("*.safetensors")):
            os.replace(path, staging / path.name)
        for name, data in side.items():
            (staging / name).write_bytes(data)
        _same(directory, "type", weight_sources.open_hf(staging).dtype.name, dtype.name)
        entries = _entries(shards.read(staging))
        plans = [
            shards.Shard(path.name, b"", {}, path.stat().st_size)
            for path in sorted(staging.glob("*.safetensors"))
        ]
        facts = {"source_digest": convert.source_digest(load)}
        content = export.manifest(staging, plans, list(side), dtype, entries, template, facts)
        digests.write_json(staging / MANIFEST, content)
    return content


def _entries(held: Mapping[str, Stored]) -> list[mcore.Entry]:
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        crcs = pool.map(lambda one: checksums.of_file(one.path, one.offset, one.bytes), held.values())
        return [
            (one.path.name, name, one.dtype.name, one.shape, crc)
            for (name, one), crc in zip(held.items(), crcs, strict=True)
        ]


def _same(directory: Path, what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise Problem(
            f"MindSpeed-LLM wrote weights of another {what}",
            where=directory,
            found=found,
            wanted=wanted,
            fix="check that the checkout is of the version that mindspeed_llm.version names (default 2.2.0), or leave"
            " convert.engine out: ours writes the same",
        )
