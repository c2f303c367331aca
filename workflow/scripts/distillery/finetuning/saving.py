"""What a run writes in the checkpoint room's formats: its snapshots' rank files, and the finished directory."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from distillery import files
from distillery.checkpoint import mcore, states
from distillery.checkpoint.layout import rank_directory
from distillery.checkpoint.sources import TRACKER
from distillery.engine.snapshots import Snapshots
from distillery.engine.training import Outcome


def snapshots(work: Path, initial: dict[str, np.ndarray], saved_args: Namespace, keep: int) -> Snapshots:
    """Snapshots whose rank files have the type of the initial weights."""
    dtype = next(iter(initial.values())).dtype

    def write(directory: Path, state: dict[str, np.ndarray], iteration: int) -> list:
        narrow = {name: array.astype(dtype, copy=False) for name, array in state.items()}
        return states.write_rank(directory, narrow, saved_args, iteration)

    def read(directory: Path) -> dict[str, np.ndarray]:
        return states.load_file(directory / mcore.RANK_FILE)[0]

    return Snapshots(work, rank_directory(0, 0, 1), write, read, mcore.payload_digest, keep)


def finish(
    save: Path, work: Path, outcome: Outcome, saved_args: Namespace, template: dict[str, Any] | None, key: str
) -> dict[str, Any]:
    """Make SAVE a standard MCore checkpoint that points into the work directory; done.json comes last."""
    files.remove(save / "done.json")
    mcore.withdraw(save)
    for old in save.glob("iter_*"):
        files.remove(old)
    os.symlink(outcome.checkpoint.relative_to(save), save / outcome.checkpoint.name, target_is_directory=True)
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
    files.write_json(save / "done.json", done)
    return done
