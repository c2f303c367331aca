"""What results take on disk, piece by piece, for which experiments, and what no configuration that is kept needs any more.

Pieces are what jobs made: an experiment's folder, a dataset under one tokenization or selection, a checkpoint, answers, and the
checkpoints of trainings with other settings. What a command did not write, and all that was fetched, is nobody's to remove here.
"""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from distillery import artefacts, config, digests, files, former_run, kept_runs, set_artefacts
from distillery.artefacts import Artefact
from distillery.checkpoint_names import DONE, TRACKER, WORK
from distillery.problems import Problem
from distillery.verify import standing

HIDDEN = r"\..+"  # digests, journals and locks beside what they are of
TIMINGS = ".timings.json"  # beside answers, and no output of a rule


@dataclass(frozen=True)
class Piece:
    """Files and folders that came of one thing, and who needs them.

    Attributes:
        kind, name: what it is, and its place.
        paths: what is removed with it.
        size: bytes, hard links counted once.
        experiments: those that need it; none if nothing does.
        left: entries of its folder that no command writes.
    """

    kind: str
    name: str
    paths: tuple[Path, ...]
    size: int
    experiments: tuple[str, ...]
    left: tuple[Path, ...] = ()


def run_sizes(args: argparse.Namespace) -> list[str]:
    """The lines of sizes.py's table, largest pieces first, and what clean.py would remove.

    Raises:
        Problem: a configuration that cannot be read.
    """
    found = pieces(args.keep)
    lines = [_line(one) for one in sorted(found, key=lambda one: (-one.size, one.name))]
    idle = [one for one in found if not one.experiments]
    total = f"{_amount(sum(one.size for one in found))}  in all, {_amount(sum(one.size for one in idle))} of it needed by nothing"
    return [*lines, total]


def run_clean(args: argparse.Namespace) -> Iterator[str]:
    """Say what is removed, then remove it: what nothing in the configurations of clean.py's flags needs.

    Raises:
        Problem: a configuration that cannot be read, or a run that goes on; nothing is removed.
    """
    if any(former_run.LOCKS.glob("*.lock")):
        raise Problem(
            "a run goes on in this folder, or was killed",
            where=Path.cwd(),
            fix="wait for its end, or say `make run` or `make unlock` first",
        )
    idle = [one for one in pieces(args.keep) if not one.experiments]
    for one in idle:
        yield f"removing {_line(one)}"
        yield from (f"  left as it is: {path}, which no command wrote" for path in one.left)
    for one in idle:
        for path in one.paths:
            files.remove(path) if path.is_symlink() or path.is_file() else shutil.rmtree(path)
        for folder in {parent for path in one.paths for parent in list(path.parents)[:-2]}:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
    yield f"{_amount(sum(one.size for one in idle))} removed, in {len(idle)} pieces"


def pieces(configfiles: Iterable[Path]) -> list[Piece]:
    """All pieces below the working directory, in the order of their places.

    Raises:
        Problem: a configuration that cannot be read.
    """
    needed: dict[Path, set[str]] = {}
    for path in configfiles:
        loaded = config.read(path)
        for name in loaded.experiments:
            for product in standing.of(loaded, name):
                for place in (product.path, *product.path.parents):
                    needed.setdefault(place, set()).add(name)
    counted: set[tuple[int, int]] = set()
    found = [_piece(*one, needed, counted) for one in _places()]
    return [one for one in found if one.paths]


def _places() -> Iterator[tuple[str, Path, str]]:
    """(kind, folder or file, pattern of the names that belong to it where it is a folder)."""
    yield from (("other settings", path, ".*") for path in _former_trainings())
    for folder in _folders(artefacts.CHECKS):
        own = f"{_entries(artefacts.CHECKS.folder)}|{kept_runs.FOLDER}"
        yield "experiment", folder, rf"{own}|.+{re.escape(TIMINGS)}"
    for folder in _folders(artefacts.TOKENIZED):
        own = _entries(artefacts.TOKENIZED.folder, artefacts.LEFT_OUT.folder)
        yield "tokens", folder, rf"{own}|{re.escape(folder.parent.name)}_.+"
    for folder in _folders(artefacts.CHECKPOINT):
        yield (
            "checkpoint",
            folder,
            rf"{_entries(artefacts.CHECKPOINT.folder)}|iter_\d+|release|{re.escape(TRACKER)}",
        )
    for folder in _folders(artefacts.TEACHER_ANSWERS):
        yield "teacher", folder, _entries(artefacts.TEACHER_ANSWERS.folder)
    for one in (artefacts.CONVERSION_PROOF, artefacts.BASE_ANSWERS):
        yield from (("file", path, "") for path in sorted(Path().glob(one.everywhere.path)))


def _folders(one: Artefact) -> list[Path]:
    return sorted(
        path for path in Path().glob(one.everywhere.folder) if path.is_dir() and not path.is_symlink()
    )


def _entries(*patterns: str) -> str:
    """A pattern of the first names below folders of these patterns, as artefacts have them."""
    known = [one for one in vars(artefacts).values() if isinstance(one, Artefact)]
    known += [set_artefacts.in_set(artefacts.SUMMARY)]
    tails = [
        one.path.removeprefix(f"{at}/") for one in known for at in patterns if one.path.startswith(f"{at}/")
    ]
    names = {artefacts.WILDCARD.sub("\0", tail.partition("/")[0]) for tail in tails}
    return "|".join(sorted(re.escape(name).replace("\0", ".+").replace("\\.+", ".+") for name in names))


def _former_trainings() -> Iterator[Path]:
    """Work directories of trainings whose settings are not those of the finished one beside them."""
    for done in sorted(Path().glob(artefacts.TRAINED.everywhere.path)):
        own = Path(digests.read_json(done)["metrics"]).parts
        if done.name == DONE and own[0] == WORK:
            yield from (path for path in sorted((done.parent / WORK).iterdir()) if path.name != own[1])


def _piece(
    kind: str, place: Path, names: str, needed: Mapping[Path, set[str]], counted: set[tuple[int, int]]
) -> Piece:
    if place.is_dir() and kind != "other settings":
        entries = sorted(place.iterdir())
        own = tuple(one for one in entries if re.fullmatch(f"{names}|{HIDDEN}", one.name))
        # digests alone are of nothing
        own = own if any(not one.name.startswith(".") for one in own) else ()
        left = tuple(one for one in entries if one not in own)
    else:
        beside = [*place.parent.glob(f".{place.name}.*"), place.with_name(f"{place.stem}{TIMINGS}")]
        own, left = (place, *sorted(one for one in beside if one.is_file())), ()
    experiments = tuple(sorted(needed.get(place, ()))) if kind != "other settings" else ()
    return Piece(kind, str(place), own, sum(_size(path, counted) for path in own), experiments, left)


def _size(path: Path, counted: set[tuple[int, int]]) -> int:
    """Bytes below a path that were not counted yet."""
    total = 0
    for one in [path, *(path.rglob("*") if path.is_dir() and not path.is_symlink() else ())]:
        found = one.lstat()
        if not one.is_dir() and (found.st_dev, found.st_ino) not in counted:
            counted.add((found.st_dev, found.st_ino))
            total += found.st_size
    return total


def _line(one: Piece) -> str:
    who = ", ".join(one.experiments) or "nothing"
    return f"{_amount(one.size)}  {one.kind:<14}  {one.name}  needed by {who}"


def _amount(size: int) -> str:
    return f"{size / 1e6:12,.3f} MB"
