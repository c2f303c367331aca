"""Proof that the same input gives the same bytes: a second run of the workflow, compared file by file."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from distillery import artefacts, blas_threads, one_writer, process_limits, set_artefacts
from distillery.files import sha256
from distillery.problems import Problem
from distillery.provenance import SCRIPTS

MADE = ("resources", "results", "logs", ".snakemake")
MISSING = "only in one run"
PREFIX = "distillery-verify-"  # of the folder of a second run
LOCK = ".lock"  # in it, held while it runs
# the compared files, below a run's directory: these, and all that lies around those
SINGLE = (
    artefacts.SHARD,
    artefacts.PROBLEMS,
    artefacts.TEACHER_QUESTIONS,
    artefacts.TEACHER_ANSWERS,
    artefacts.CONVERSION_PROOF,
    artefacts.BASE_ANSWERS,
    artefacts.BASE_SCORES,
    artefacts.TRAINED,
    artefacts.EXPORT_PROOF,
    artefacts.TUNED_ANSWERS,
    artefacts.TUNED_SCORES,
    artefacts.COMPARISON,
    artefacts.SUMMARY,
    *map(
        set_artefacts.in_set,
        (artefacts.TUNED_ANSWERS, artefacts.TUNED_SCORES, artefacts.COMPARISON, artefacts.SUMMARY),
    ),
)
WHOLE = (
    artefacts.MODEL,
    artefacts.TOKENIZED,
    artefacts.CHECKPOINT,
    artefacts.TRAINED_RESHARDED,
    artefacts.EXPORTED,
)
KINDS = [
    *(one.everywhere.path for one in SINGLE),
    *(f"{one.everywhere.folder}/**/*" for one in WHOLE),
    f"{artefacts.TRAINED.everywhere.folder}/iter_*/**/*",
]


@dataclass(frozen=True)
class Compared:
    """What two runs have.

    Attributes:
        same: files that are byte-identical.
        others: names of those that are not, and may be others each time.
    """

    same: int
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.same} files are byte-identical in both runs"
        if not self.others:
            return text
        return f"{text}; {len(self.others)} are not, which follow from a server's answers: {', '.join(self.others)}"


def run(args: argparse.Namespace, free: Callable[[str], bool]) -> Compared:
    """Compare this directory's run with the one that verify.py's flags ask for.

    Args:
        free: as `compare` takes it.

    Raises:
        Problem: as `second_run` and `compare`.
    """
    with second_run(args.configfile, args.cores, args.against) as again:
        return compare(Path.cwd(), again, free)


@contextmanager
def second_run(configfile: Path, cores: str, finished: Path | None) -> Iterator[Path]:
    """Yield the directory of a run to compare with: `finished`, or a new one in a temporary directory."""
    if finished:
        yield finished
        return
    _remove_left()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        lock = Path(name) / LOCK
        descriptor, _ = one_writer.opened(lock, lock)
        try:
            bare(Path.cwd(), Path(name))
            asked = [sys.executable, "-m", "snakemake", "--snakefile", str(SCRIPTS.parents[1] / "Snakefile")]
            asked += ["--configfile", str(configfile.resolve()), "--directory", name, "--cores", cores]
            env = blas_threads.environment_as_found()
            # should this process be killed, the folder is Snakemake's until that ends
            if status := subprocess.run(asked, env=env, check=False, pass_fds=[descriptor]).returncode:
                raise Problem(
                    "the second run failed; the first is as it was",
                    where=name,
                    found=f"Snakemake ended with {process_limits.ended(status)}",
                    fix="see its messages above; where that disk is full, name a folder on another one in TMPDIR",
                )
            yield Path(name)
        finally:
            os.close(descriptor)


def _remove_left() -> None:
    """Remove the folders of second runs that were killed."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError):  # it goes on, or is another user's
            descriptor, locked = one_writer.opened(lock, lock)
            try:
                if locked:
                    shutil.rmtree(lock.parent)
            finally:
                os.close(descriptor)


def bare(first: Path, second: Path) -> None:
    """Make `second` a directory from which relative paths of a configuration lead where they do from `first`, and nothing is made.

    That is where sources, servers' interpreters and a human's verdicts lie.
    """
    for entry in first.iterdir():
        if entry.name not in MADE:
            (second / entry.name).symlink_to(entry.absolute())


def compare(first: Path, second: Path, free: Callable[[str], bool] = lambda name: False) -> Compared:
    """What is the same in both, and what is not though it need not be.

    Args:
        free: whether a file of this name, which is in both, may have other bytes each time.

    Raises:
        Problem: naming every other file that differs, and every one that is missing on one side.
    """
    names = sorted(_names(first) | _names(second))
    if not names:
        raise Problem("there is nothing to compare", where=first, fix="finish a run first: make run")
    found = {name: fault for name in names if (fault := _difference(first / name, second / name))}
    others = tuple(name for name, fault in found.items() if fault != MISSING and free(name))
    faults = [f"{name}: {fault}" for name, fault in found.items() if name not in others]
    if faults:
        raise Problem(
            f"{len(faults)} of {len(names)} files differ",
            found="\n          ".join(faults),
            wanted="the same bytes from the same configuration",
            fix="if configuration, sources or code are others since the first run, `make run` first; else see whether "
            "a file here is damaged (make verify QUICK=1)",
        )
    return Compared(len(names) - len(others), others)


def _names(run: Path) -> set[str]:
    """Relative names of the files to compare; checkpoints are reached through links, so links are followed."""
    found: set[str] = set()
    for pattern in KINDS:
        for path in run.glob(pattern):
            if path.is_file() and not path.name.startswith(".") and not path.name.endswith(".timings.json"):
                found.add(os.path.relpath(path, run))
    return found


def _difference(first: Path, second: Path) -> str | None:
    if not first.is_file() or not second.is_file():
        return MISSING
    if first.stat().st_size != second.stat().st_size:
        return f"{first.stat().st_size} and {second.stat().st_size} bytes"
    return None if sha256(first) == sha256(second) else "same size, other bytes"
