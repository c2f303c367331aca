"""What a training run is given, beside its settings: what it learns, and what may differ from start to start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from distillery.engine.batches import Rows
from distillery.engine.mixture import Mixture


@dataclass(frozen=True)
class Learnt:
    """What a run learns from.

    Args:
        rows: the documents' tokens and labels.
        describe: document number -> what to call it in an error (shard and uuid).
        mixture: of the datasets whose rows these are; None for one.
    """

    rows: Rows
    describe: Callable[[int], object]
    mixture: Mixture | None = None


@dataclass(frozen=True)
class Cadence:
    """How often, in steps, things happen that do not change the weights; 0 for never."""

    save: int
    log: int
    evaluate: int
    evaluate_steps: int  # global batches per evaluation


@dataclass(frozen=True)
class Ranks:
    """What this rank has to do with the others.

    Args:
        leader: whether it records and shows what all ranks know.
        agree: whether any rank's argument is true; every rank calls it after every step.
    """

    leader: bool = True
    agree: Callable[[bool], bool] = bool


@dataclass(frozen=True)
class Circumstances:
    """What may differ between the starts of one run: it changes last bits at most, and is said when it does.

    Args:
        data_parallel: ranks that share a global batch.
        code: digest of the engine's code.
    """

    data_parallel: int = 1
    code: str = ""

    def changes(self, before: dict[str, Any], done: int) -> Iterator[str]:
        """Lines to say of a run that goes on after step `done`, whose state.json is `before`."""
        if self.data_parallel != before["data_parallel"]:
            was = before["data_parallel"]
            yield f"data-parallel size {self.data_parallel} now, {was} until step {done}: sums differ in their last bits"
        if self.code != before.get("code"):
            yield f"other engine code now than until step {done}, of the same version (numerics.py): sums may differ in their last bits"


@dataclass(frozen=True)
class Start:
    """One start of a run: nothing here changes what it learns, but for last bits.

    Args:
        flops: operations of a step on one rank, to record how fast they are; None: not to.
    """

    cadence: Cadence
    ranks: Ranks
    circumstances: Circumstances
    flops: float | None
