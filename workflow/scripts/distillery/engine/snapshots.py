"""Resumable checkpoints of a training run: whole or invisible, checked before use, pruned.

    WORK/iter_0000400/mp_rank_00/model_optim_rng.pt         weights, an ordinary MCore rank file
    WORK/iter_0000400/mp_rank_00/optimizer.safetensors      moments
    WORK/iter_0000400/mp_rank_00/weights.safetensors        fp32 weights, if the rank file is narrower
    WORK/iter_0000400/state.json                            iteration, key, size and sha256 of every file

Ranks write into one hidden directory and leave a note each; rank 0 waits for all notes, writes state.json and
renames. Writing happens in a thread: training goes on from copies of the state.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from safetensors.numpy import load_file

from distillery import digests, files, json_files, safetensors_files
from distillery.checkpoint_names import RANK_FILE, iteration_name
from distillery.problems import Problem, writing

State = dict[str, np.ndarray]
WEIGHTS = "weights.safetensors"
LATE = 600.0  # seconds rank 0 waits for the other ranks' notes


@dataclass(frozen=True, kw_only=True)
class RankFiles:
    """What one rank writes of a checkpoint, and reads back.

    Args:
        rank_directory: name of this rank's part, e.g. mp_rank_00.
        write_model: (directory, state, iteration) -> what identifies its tensors, a JSON list; writes this
            rank's model_optim_rng.pt. None if a peer writes the same weights.
        identify: all ranks' lists joined -> digest of the weights, for state.json.
        read_model: directory -> state.
        moments_name: of the optimizer's file; data-parallel ranks share one, unless they hold shards.
        write_moments: False if a peer writes the same.
        narrow: the rank files round the weights, so their float32 values are kept beside them.
        rank, world: of all processes; rank 0 completes and prunes.
    """

    rank_directory: str
    write_model: Callable[[Path, State, int], list] | None
    read_model: Callable[[Path], State]
    identify: Callable[[list], str]
    moments_name: str = "optimizer"
    write_moments: bool = True
    narrow: bool = False
    rank: int = 0
    world: int = 1


class Snapshots:
    """The checkpoints of one run.

    Args:
        work: directory of this run.
        mine: this rank's part of each.
        keep: how many of the latest to keep; the best by evaluation is kept besides.
    """

    def __init__(self, work: Path, mine: RankFiles, keep: int):
        self.work, self.mine, self.keep = work, mine, keep
        self._lock = FileLock(work / "lock")  # held until the process ends, however it ends
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._pending: Future[None] | None = None
        work.mkdir(parents=True, exist_ok=True)

    def claim(self) -> None:
        """Keep other processes away and remove what a killed one left half-written; rank 0 calls it before any rank saves.

        Raises:
            Problem: another process trains here.
        """
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise Problem(
                "another process trains in this directory",
                where=self.work,
                fix="wait for its end, or stop it with SIGTERM and run the same command again, which goes on there",
            ) from None
        for partial in self.work.glob(".*.partial"):
            files.remove(partial)

    def save(self, iteration: int, model: State, optimizer: State, facts: dict[str, Any]) -> None:
        """Start writing; returns at once. The arrays must be copies. Raises what the former save raised."""
        self.wait()
        self._pending = self._thread.submit(self._write, iteration, model, optimizer, facts)

    def wait(self) -> None:
        """Return when nothing is being written any more."""
        if self._pending is not None:
            with writing(self.work):
                self._pending.result()
            self._pending = None

    def _write(self, iteration: int, model: State, optimizer: State, facts: dict[str, Any]) -> None:
        partial = self.work / f".{iteration_name(iteration)}.partial"
        here = partial / self.mine.rank_directory
        here.mkdir(parents=True, exist_ok=True)
        written, tensors = [], []
        if self.mine.write_moments:
            written.append(here / f"{self.mine.moments_name}.safetensors")
            moments = {name: np.ascontiguousarray(array) for name, array in optimizer.items()}
            safetensors_files.save(moments, written[-1])
        if self.mine.write_model is not None:
            tensors = self.mine.write_model(here, model, iteration)
            written.append(here / RANK_FILE)
            if self.mine.narrow:
                written.append(here / WEIGHTS)
                safetensors_files.save(model, written[-1])
        for path in written:
            _sync(path)
        names = [str(path.relative_to(partial)) for path in written]
        note = {"files": digests.entries(partial, names), "tensors": tensors}
        files.write_json(partial / f"note-{self.mine.rank}.json", note)
        if self.mine.rank == 0:
            self._complete(partial, iteration, facts)

    def _complete(self, partial: Path, iteration: int, facts: dict[str, Any]) -> None:
        notes = [partial / f"note-{rank}.json" for rank in range(self.mine.world)]
        end = time.monotonic() + LATE
        while missing := [note.name for note in notes if not note.exists()]:
            if time.monotonic() > end:
                raise Problem(
                    "other ranks did not write their part of a checkpoint", where=partial, found=missing
                )
            time.sleep(0.05)
        read = [json_files.read(note) for note in notes]
        state = {
            **facts,
            "iteration": iteration,
            "files": sorted((e for note in read for e in note["files"]), key=lambda e: e["name"]),
            "payload_digest": self.mine.identify([tensor for note in read for tensor in note["tensors"]]),
        }
        for note in notes:
            note.unlink()
        digests.write_json(partial / "state.json", state)
        target = self.work / iteration_name(iteration)
        files.remove(target)
        os.replace(partial, target)
        _sync(self.work)
        self._prune(iteration)

    def _prune(self, iteration: int) -> None:
        whole = sorted(path for path in self.work.glob("iter_*") if (path / "state.json").exists())
        best = self.best()
        for path in whole[: -self.keep]:
            if best is None or path.name != iteration_name(best["iteration"]):
                files.remove(path)

    def mark_best(self, iteration: int, loss: float) -> None:
        """Remember the checkpoint with the lowest evaluation loss so far; `_prune` spares it."""
        best = self.best()
        if best is None or loss <= best["loss"]:
            files.write_json(self.work / "best.json", {"iteration": iteration, "loss": loss})

    def best(self) -> dict[str, Any] | None:
        """{"iteration", "loss"} of the best checkpoint, None before any evaluation."""
        path = self.work / "best.json"
        return json_files.read(path) if path.exists() else None

    def latest(self, warn: Callable[[str], None]) -> int | None:
        """Iteration of the newest checkpoint whose files are all as written; damaged ones are named and passed."""
        for path in sorted(self.work.glob("iter_*"), reverse=True):
            damage = self._damage(path)
            if damage is None:
                return digests.read_json(path / "state.json")["iteration"]
            warn(f"checkpoint {path.name} is damaged and is passed over: {damage}")
        return None

    def _damage(self, path: Path) -> str | None:
        if not (path / "state.json").exists():
            return "it has no state.json"
        try:
            state = digests.read_json(path / "state.json")
            listed = [(entry["name"], entry["bytes"], entry["sha256"]) for entry in state["files"]]
        except (Problem, KeyError, TypeError):
            return "its state.json cannot be read"
        if path.name != iteration_name(state.get("iteration", 0)):
            return "its state.json is of another step"
        for name, size, digest in listed:
            file = path / name
            if not file.exists():
                return f"{name} is missing"
            if file.stat().st_size != size or files.sha256(file) != digest:
                return f"{name} does not have the sha256 of state.json"
        return None

    def load(self, iteration: int) -> tuple[State, State]:
        """(this rank's part of the model, its optimizer moments from the files of all data-parallel ranks)."""
        here = self.work / iteration_name(iteration) / self.mine.rank_directory
        model = load_file(here / WEIGHTS) if self.mine.narrow else self.mine.read_model(here)
        return model, _joined([load_file(path) for path in sorted(here.glob("optimizer*.safetensors"))])

    def facts(self, iteration: int) -> dict[str, Any]:
        """state.json of a checkpoint."""
        return digests.read_json(self.work / iteration_name(iteration) / "state.json")


def _joined(shares: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The files of all data-parallel ranks, in their order, as one."""
    if len(shares) == 1:
        return shares[0]
    return {kind: np.concatenate([share[kind] for share in shares]) for kind in shares[0]}


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
