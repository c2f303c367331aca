"""What a run reads and writes in the converter's formats: initial weights, snapshots, the finished directory."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from distillery import digests, files, late_files, one_writer, provenance
from distillery.architecture import Architecture
from distillery.checkpoint_names import DONE, RANK_FILE, TABLES, TRACKER
from distillery.convert import mcore, peft_format, rank_files, states
from distillery.convert.mcore_layout import rank_directory
from distillery.digests import MANIFEST
from distillery.engine.mesh import Mesh
from distillery.engine.snapshots import RankFiles, Snapshots
from distillery.engine.train_loop import Outcome
from distillery.lora import Lora
from distillery.problems import UsageProblem


@dataclass(frozen=True)
class Part:
    """What a rank loads: its slice by MCore name, the args saved with it, layers here and embedding rows in all."""

    state: dict[str, np.ndarray]
    args: Namespace
    num_layers: int
    padded_vocab: int | None


def load_part(directory: Path, place: Mesh, arch: Architecture, layer_list: list[int] | None) -> Part:
    """This rank's file of the MCore checkpoint in `directory`.

    Raises:
        UsageProblem: the checkpoint has another layout than the flags say, or these contradict each other.
        Problem: no such rank, or an unreadable file.
    """
    state, args = states.load_rank(directory, place.tensor_rank, place.pipeline_rank, checked=True)
    found = [getattr(args, f"{kind}_model_parallel_size", 1) for kind in ("tensor", "pipeline")]
    if found != [place.tensor, place.pipeline]:
        raise UsageProblem(
            "the checkpoint has another layout",
            where=f"--tensor-model-parallel-size, --pipeline-model-parallel-size; {directory}",
            found=f"TP {found[0]}, PP {found[1]} in the checkpoint",
            wanted=f"TP {place.tensor}, PP {place.pipeline}, as the flags say",
            fix="reshard it with convert_ckpt.py, or change the flags",
        )
    layers = {int(name.split(".")[2]) for name in state if name.startswith("decoder.layers.")}
    if layer_list and (len(layer_list), sum(layer_list)) != (place.pipeline, arch.num_layers):
        raise UsageProblem(
            "the list of layers does not fit the stages",
            where="--num-layer-list, --pipeline-model-parallel-size",
            found=f"{len(layer_list)} stages with {sum(layer_list)} layers in all",
            wanted=f"{place.pipeline} stages with {arch.num_layers} layers in all",
        )
    here = layer_list[place.pipeline_rank] if layer_list else len(layers)
    if layers != set(range(here)):
        raise UsageProblem(
            "the stage's layers are not those of the checkpoint",
            where=f"--num-layer-list; {directory}",
            found=f"layers {sorted(layers)} on pipeline rank {place.pipeline_rank}",
            wanted=f"0 to {here - 1}; empty layers are not supported",
            fix="give --num-layer-list as the weights were converted with, or convert them again without empty layers",
        )
    tables = [state[name] for name in TABLES if name in state]
    return Part(state, args, len(layers), len(tables[0]) * place.tensor if tables else None)


def weights_identity(directory: Path) -> str:
    """Digest of the initial weights.

    It is their manifest's payload_digest, else the sha256 of the rank files of the iteration (or release) that the
    tracker names.
    """
    for name in (MANIFEST, DONE):
        if late_files.there(directory / name) and "payload_digest" in (
            record := digests.read_json(directory / name)
        ):
            return record["payload_digest"]
    paths = sorted(rank_files.iteration_directory(directory).glob(f"*/{RANK_FILE}"))
    return provenance.digest([(str(path.relative_to(directory)), files.sha256(path)) for path in paths])


def snapshots(work: Path, part: Part, place: Mesh, keep: int, zero: bool, frozen: bool) -> Snapshots:
    """Snapshots whose rank files have the type of the initial weights.

    Args:
        frozen: weights are what they were at the start, with adapters in them, which are kept beside the moments.
    """
    dtype = next(iter(part.state.values())).dtype

    def write(directory: Path, state: Mapping[str, np.ndarray], iteration: int) -> list:
        rounded = state
        if dtype != np.float32:
            rounded = {name: array.astype(dtype, copy=False) for name, array in state.items()}
        return states.write_rank(directory, rounded, part.args, iteration)

    def read(directory: Path) -> dict[str, np.ndarray]:
        return states.load_file(directory / RANK_FILE)[0]

    mine = RankFiles(
        rank_directory=rank_directory(place.tensor_rank, place.pipeline_rank, place.pipeline),
        write_model=write if place.data_rank == 0 else None,
        read_model=read,
        identify=mcore.payload_digest,
        moments_name=f"optimizer_{place.data_rank:03d}" if zero and place.data > 1 else "optimizer",
        write_moments=zero or place.data_rank == 0,
        narrow=dtype != np.float32 and not frozen,
        rank=place.rank,
        world=place.world,
    )
    return Snapshots(work, mine, keep)


def write_adapter(save: Path, outcome: Outcome, lora: Lora, arch: Architecture) -> None:
    """SAVE/adapter: the trained adapters as PEFT reads them, with the digests of both files."""
    from distillery.engine import adapters

    (path,) = outcome.checkpoint.glob("*/optimizer.safetensors")
    with files.atomic_directory(save / "adapter") as staging:
        names = peft_format.write(staging, adapters.stored(load_file(path)), lora, arch)
        digests.write_json(staging / MANIFEST, {"files": digests.entries(staging, names)})


def finish(
    save: Path,
    work: Path,
    outcome: Outcome,
    template: dict[str, Any] | None,
    key: str,
    mix: list[dict[str, Any]],
) -> dict[str, Any]:
    """Make SAVE a standard MCore checkpoint that points into the work directory; done.json comes last."""
    with one_writer.of(save):  # runs of other settings have work directories, and locks, of their own
        files.remove(save / DONE)
        mcore.withdraw(save)
        for old in save.glob("iter_*"):
            files.remove(old)
        os.symlink(
            outcome.checkpoint.relative_to(save), save / outcome.checkpoint.name, target_is_directory=True
        )
        files.write_text(save / TRACKER, str(outcome.iteration))
        done = {
            "iteration": outcome.iteration,
            "key": key,
            "checkpoint": str(outcome.checkpoint.relative_to(save)),
            "payload_digest": outcome.state["payload_digest"],
            "loss": outcome.loss,
            "best": outcome.best,
            "template": template,
            "metrics": str((work / "metrics.jsonl").relative_to(save)),
        }
        if mix:
            done["mix"] = mix
        digests.record(work / "metrics.jsonl")
        digests.write_json(save / DONE, done)
        return done
