"""The first checkpoint that a training saves, read while it goes on: not after a day of steps that nobody can use."""

from __future__ import annotations

import time
from pathlib import Path

from distillery.checkpoint_names import TRACKER
from distillery.convert import weight_sources
from distillery.problems import Problem

# a tracker is written in place, and may be met empty
PATIENCE_SECONDS = 5
# what ranks of other nodes wrote may show up later here than the tracker, for as long as NFS keeps a listing
NODES_PATIENCE_SECONDS = 60


class FirstSave:
    """Looks at a trainer's --save until its tracker names an iteration, whoever wrote that, and reads it once.

    Args:
        directory: the trainer's --save.
        nodes: that write there. What cannot be read yet is looked at again for some seconds, more with several.
    """

    def __init__(self, directory: Path, nodes: int = 1) -> None:
        self._directory = directory
        self._patience = NODES_PATIENCE_SECONDS if nodes > 1 else PATIENCE_SECONDS
        self._first_failure: float | None = None
        self._done = False

    def look(self) -> None:
        """Headers alone are read: names, types, shapes and places of all ranks' weights, no weight.

        Raises:
            Problem: what was saved could not be converted, proven or answered from.
        """
        if self._done or not (self._directory / TRACKER).is_file():
            return
        try:
            weight_sources.open_mcore(self._directory)
        except (Problem, OSError) as error:
            now = time.monotonic()
            self._first_failure = self._first_failure or now
            if now - self._first_failure < self._patience:
                return
            problem = error if isinstance(error, Problem) else Problem(str(error))
            raise Problem(
                "the checkpoint that training saved first could not be read after it, so the job was ended now",
                where=problem.where or self._directory,
                found=problem.what if problem.found is None else f"{problem.what}: {problem.found}",
                wanted=problem.wanted,
                fix="cure that, or report it: the checkpoint is kept, and the same command goes on from it",
            ) from error
        self._done = True
