"""The logs of a job's ranks, read as they grow."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from distillery import progress
from distillery.launch import loglines


class RankLog:
    """One rank's log: new whole lines since the last look, its error, its last words."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.watch = loglines.ErrorWatch()
        self.last: deque[str] = deque(maxlen=5)
        self.order: int | None = None  # which rank erred first, by the look that saw it
        self._offset = 0
        self._rest = b""

    def lines(self, final: bool = False) -> list[str]:
        """Lines that were completed since the last call; with `final` an unfinished last one too."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as stream:
            stream.seek(self._offset)
            data = stream.read()
        self._offset += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        if final and self._rest:
            whole, self._rest = [*whole, self._rest], b""
        texts = [line.decode("utf-8", "replace").rstrip("\r") for line in whole]
        for text in texts:
            self.watch.feed(text)
            if text.strip():
                self.last.append(text)
        return texts


def _row_tokens(worker: Sequence[str]) -> int | None:
    """Tokens of each sample of a training; None where rows have lengths of their own, or nobody knows."""
    if "--variable-seq-lengths" in worker:
        return None
    lengths = [word for flag, word in pairwise(worker) if flag == "--seq-length" and word.isdecimal()]
    return int(lengths[-1]) if lengths else None


class Follower:
    """All local ranks' logs: shows one rank, collects metrics, remembers who erred first.

    Shown is the rank that prints the progress: the last one, until another does. Megatron prints the loss on the last.
    """

    def __init__(
        self,
        logs: Mapping[int, Path],
        show: Callable[[str], None],
        record: Callable[[dict[str, Any]], None],
        worker: Sequence[str],
    ) -> None:
        """`worker`: the words that the ranks run, which may tell how long rows are."""
        self.ranks = {rank: RankLog(path) for rank, path in logs.items()}
        self.shown = max(logs)
        self._show, self._record, self._row_tokens = show, record, _row_tokens(worker)
        self._settled, self._looks = False, 0
        self.reached: tuple[int, int] | None = None  # the last training line's iteration and its goal

    def look(self, final: bool = False) -> bool:
        """Read on in every log; True if any rank wrote something."""
        self._looks += 1
        wrote = False
        for rank, log in self.ranks.items():
            lines = log.lines(final)
            wrote |= bool(lines)
            if log.order is None and log.watch.error:
                log.order = self._looks
            for line in lines:
                if not self._settled and loglines.PROGRESS.search(line):
                    self.shown, self._settled = rank, True
                record = loglines.metrics(line)
                if record is not None:
                    if "train_iters" in record:
                        self.reached = (record["iteration"], record.pop("train_iters"))
                        self._tell(record)
                    self._record(record)
            if rank == self.shown:
                for line in lines:
                    if not loglines.NOISE.match(line):
                        self._show(line)
        return wrote

    def _tell(self, record: Mapping[str, Any]) -> None:
        iteration, goal = self.reached or (0, 0)
        if progress.current().total != goal:
            progress.begin("steps", goal, iteration - 1)
        said = [f"loss {record['loss']:.4f}"] if "loss" in record else []
        if record.get("seconds") and "consumed_samples" in record:
            rows = record["consumed_samples"] / iteration / record["seconds"]
            said.append(
                f"{rows:.1f} samples/s"
                if self._row_tokens is None
                else f"{rows * self._row_tokens:.0f} tokens/s"
            )
        progress.reached(iteration, "  ".join(said))

    def first_error(self) -> int | None:
        """The rank whose log told of an error before the others' did."""
        erred = [(log.order, rank) for rank, log in self.ranks.items() if log.order is not None]
        return min(erred)[1] if erred else None

    def last_words(self, ranks: list[int] | None = None, count: int = 2) -> str:
        """The last lines of these ranks, each with the name of its log."""
        rows = []
        for rank in ranks if ranks is not None else list(self.ranks):
            log = self.ranks[rank]
            said = list(log.last)[-count:] or ["(nothing)"]
            rows += [f"{log.path}: {line}" for line in said]
        return "\n           ".join(rows)


class Elsewhere:
    """The log of a rank of another node, on the disk that all share: read for the progress alone, nothing of it is shown or recorded.

    Megatron prints the loss on the last rank, and the process that people look at is on the first node, or on none.
    """

    def __init__(self, log: Path, worker: Sequence[str]) -> None:
        self._log, self._former = log, _number(log)
        self._follower = Follower({0: log}, _not_here, _not_here, worker)

    def look(self) -> None:
        """Read on; a log of an earlier attempt lies there until its node has moved it away."""
        if self._former is None or _number(self._log) != self._former:
            self._former = None
            self._follower.look()


def _number(path: Path) -> int | None:
    """What tells a file from another one of the same name."""
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _not_here(told: object) -> None:
    """Its own node shows and records."""
