"""Compiled graphs kept across runs, in $XDG_CACHE_HOME/distillery/graphs (default ~/.cache).

    with graph_cache.kept(identity):
        ...                                 # compile, always in the same order

MindSpore 2.10 finds a kept graph by its number in the order of compilation, and compares nothing but the code: a
graph for other shapes is taken without a word. So each identity has a directory of its own, and the caller's must
hold all that shapes a graph or is a constant in it, besides the code. Graphs that name their Parameters by MCore's
or another Cell's names may be kept. Not so those with a Python function in them, known by its address (`off` leaves
them out), nor the native ones, whose weights are no named Parameters of a Cell: MindSpore gives them zeros.

The KEPT identities that were used last stay; older ones go, but not while a process may be reading them.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from distillery import digests, files, provenance

ENABLE, WHERE = "MS_COMPILER_CACHE_ENABLE", "MS_COMPILER_CACHE_PATH"
KEPT = 32  # identities; a tiny model's take 0.2 MB each
IN_USE = 3600.0  # seconds after a use in which a process may still be reading graphs


@contextmanager
def kept(identity: Any) -> Iterator[None]:
    """What is compiled inside is taken from an earlier run with an equal identity, or kept for later ones.

    Only a run that ends well leaves graphs, and whole: they are made in a directory that is renamed.
    """
    import mindspore

    entry = Path(sys.argv[0])
    # MindSpore makes a directory's graphs anew if the started script or a file below it has changed: it never is
    code = [files.sha256(path) for path in sorted(provenance.SCRIPTS.rglob("*.py"))]
    code += [files.sha256(entry)] if entry.is_file() else []
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "distillery" / "graphs"
    target = home / provenance.digest([mindspore.__version__, sys.version, code, identity])[:20]
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".") as partial:
        place = Path(partial) / "new"
        if digests.intact(target):
            place = target
            os.utime(place)
        else:  # not there, or damaged
            shutil.rmtree(target, ignore_errors=True)
        with _environment({ENABLE: "1", WHERE: str(place)}):
            yield
        if place is not target and place.is_dir():
            made = digests.entries(place, digests.contents(place))
            files.write_json(place / digests.MANIFEST, {"files": made})
            try:
                os.rename(place, target)
            except OSError:  # another process was faster
                shutil.rmtree(place)
            _prune(home)


def _prune(home: Path) -> None:
    """Remove what was not used for longest; a directory goes whole, by its name, before its files do."""
    used = sorted((path.stat().st_mtime, path) for path in home.iterdir() if not path.name.startswith("."))
    for when, path in used[:-KEPT]:
        if time.time() - when > IN_USE:
            with tempfile.TemporaryDirectory(dir=home, prefix=".") as grave, suppress(OSError):
                os.rename(path, Path(grave) / path.name)  # may fail: another process was faster


@contextmanager
def off() -> Iterator[None]:
    """What is compiled inside is not kept."""
    with _environment({ENABLE: "0"}):
        yield


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    former = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
