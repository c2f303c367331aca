"""Digests that lie beside files: written with them, and compared by whoever reads them, on the same bytes.

    digests.write_json(path, value)     # and `.NAME.sha256`, hidden, as `sha256sum` writes and checks it
    digests.read_json(path)             # a Problem where the bytes are not those that were written

Fetched files have theirs in `NAME.sha256`, in a list of a batch, in `NAME.manifest.json` or in their directory's
manifest.json, whose `files` are `entries`. Without any nothing is known, and nothing is said.
"""

from __future__ import annotations

import hashlib
import itertools
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distillery import files, json_files, one_writer
from distillery.checkpoint_names import DONE
from distillery.problems import Problem

MANIFEST = "manifest.json"  # in directories of fetched, converted and exported files, and of caches
DEPTH = 5  # folders between a trained rank file and its done.json, at most


def beside(path: Path) -> Path:
    """Where the digest of a written file lies."""
    return path.with_name(f".{path.name}.sha256")


@contextmanager
def recorded(path: Path) -> Iterator[list[Path]]:
    """What is written at `path` inside gets its digest, under one lock: of two writers one's file stays, with its own digest.

    A kill in between leaves the file without one. Yields a list for other files, below its folder, that belong to it.

    Raises:
        Problem: another process writes it.
    """
    others: list[Path] = []
    with one_writer.of(path):
        files.remove(beside(path))
        yield others
        record(path, *others)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """As `files.atomic`, with the digest."""
    with recorded(path), files.atomic(path) as partial:
        yield partial


def write_text(path: Path, text: str) -> None:
    """Write a file and its digest."""
    with recorded(path):
        files.write_text(path, text)


def write_lines(path: Path, lines: Iterable[bytes]) -> None:
    """As `write_text`, of lines with their ends."""
    with atomic(path) as partial, partial.open("wb") as stream:
        stream.writelines(lines)


def write_json(path: Path, value: Any) -> None:
    """As `files.write_json`, with the digest."""
    with recorded(path):
        files.write_json(path, value)


def record(path: Path, *others: Path) -> None:
    """Write the digest of a file as it is, and of others that belong to it and lie below its folder."""
    with one_writer.of(path):
        lines = [f"{files.sha256(one)}  {one.relative_to(path.parent)}\n" for one in (path, *others)]
        files.write_text(beside(path), "".join(lines))


def manifest_of(path: Path) -> Path:
    """Where the manifest of one fetched or imported file lies."""
    return path.with_name(f"{path.name}.{MANIFEST}")


def entry(name: str, path: Path) -> dict[str, Any]:
    """What a manifest lists of a file; `name` is what it is called there."""
    return {"name": name, "bytes": path.stat().st_size, "sha256": files.sha256(path)}


def entries(directory: Path, names: Iterable[str]) -> list[dict[str, Any]]:
    """`entry` of files of a directory, in the order of their names."""
    return [entry(name, directory / name) for name in sorted(names)]


def contents(directory: Path) -> set[str]:
    """The names of all files in a directory and below it that its manifest is to list."""
    own = {MANIFEST, beside(directory / MANIFEST).name}
    return {one.relative_to(directory).as_posix() for one in directory.rglob("*") if one.is_file()} - own


def intact(path: Path) -> bool:
    """Whether a cached file, or a directory with a manifest, is there and is what was recorded: what is not is made anew."""
    try:
        if path.is_dir():
            return read_json(path / MANIFEST)["files"] == entries(path, contents(path))
        return listed(beside(path))[path] == files.sha256(path)
    except (OSError, ValueError, KeyError, Problem):
        return False


def listed(listing: Path) -> dict[Path, str]:
    """{file: sha256} of a list as `sha256sum` writes it."""
    lines = listing.read_text(encoding="utf-8", errors="replace").split("\n")
    pairs = [line.partition("  ") for line in lines if line]
    return {listing.parent / name: digest for digest, _, name in pairs}


def wanted(path: Path) -> tuple[str, Path] | None:
    """(sha256 that was recorded of a file, where it stands), or None."""
    return next(_records(path), None)


def _records(path: Path) -> Iterator[tuple[str, Path]]:
    """As `wanted`, of each kind of record in turn: a file's own, that of a list, or else that of a manifest."""
    own, known = beside(path), False
    lists = itertools.chain([path.with_name(f"{path.name}.sha256")], path.parent.glob("[!.]*.sha256"))
    for kind in ([own], lists):
        for listing in kind:  # a batch has one for all
            if listing.is_file() and (digest := listed(listing).get(path)):
                known = True
                yield digest, listing
                break
            if listing == own and own.is_file():  # what was written beside a file names it
                raise Problem("a file's digest was damaged", where=own, wanted=path.name, fix=again(path))
    if known:
        return
    for manifest in (manifest_of(path), path.with_name(MANIFEST)):
        if manifest.is_file() and manifest != path:
            content = read_json(manifest)
            for one in content.records("files") if "files" in content else []:
                if one.get("name") == path.name and one.get("sha256"):
                    yield one["sha256"], manifest
                    return


def check(path: Path, found: str) -> None:
    """Hold the sha256 of bytes that were read of a file against the recorded one.

    Raises:
        Problem: the file was changed or replaced since.
    """
    for digest, where in _records(path):
        compare(path, found, digest, where, path)


def compare(path: Path, found: str, digest: str, where: Path, product: Path) -> None:
    """As `check`, with a sha256 that is recorded in `where`; `product` is what is made again."""
    if found != digest:
        raise Problem(
            "a file is not the one whose digest lies beside it",
            where=path,
            found=f"{path.stat().st_size} bytes, sha256 {found}",
            wanted=f"sha256 {digest}, as {where} has it",
            fix=f"{again(product)}. What is changed on purpose belongs elsewhere, in a `path` source",
        )


def check_file(path: Path) -> None:
    """As `check`, of a file whose reader does not see all of its bytes: they are read here, if a digest is known."""
    if wanted(path):
        check(path, files.sha256(path))


def check_contents(directory: Path, contents: Mapping[str, bytes]) -> None:
    """As `check`, of {name: bytes as they were read}."""
    for name, data in contents.items():
        check(directory / name, hashlib.sha256(data).hexdigest())


def read_bytes(path: Path) -> bytes:
    """All bytes of a file, compared as `check` does."""
    data = path.read_bytes()
    check(path, hashlib.sha256(data).hexdigest())
    return data


def read_json(path: Path) -> Any:
    """As `json_files.read` of an object, the bytes compared."""
    return json_files.parse(read_bytes(path), path)


def lines(path: Path) -> Iterator[bytes]:
    """The lines of a file one by one, compared after the last; what a reader makes of them is to be kept until then.

    Raises:
        Problem: not the bytes that were written.
    """
    made = hashlib.sha256()
    with path.open("rb") as stream:
        for line in stream:
            made.update(line)
            yield line
    check(path, made.hexdigest())


def json_lines(
    path: Path, keep: Callable[[json_files.Record], Any] = lambda record: record
) -> list[json_files.Record]:
    """The objects of a file of JSON lines, the bytes compared; empty lines are none.

    Args:
        keep: what to make of each at once, where a file's objects are too large to be held together.

    Raises:
        Problem: no such file; a line that is no object.
    """
    if not path.is_file():
        raise Problem("no such file", where=path, fix=again(path))
    try:
        numbered = enumerate(lines(path), 1)
        return [
            keep(json_files.parse(line, f"{path}, line {number}"))
            for number, line in numbered
            if line.strip()
        ]
    except Problem:
        check_file(path)  # says more than that a line is none
        raise


def again(path: Path) -> str:
    """What makes a file again: for one in a directory with a manifest, or of a training, the command for all of it."""
    made = next(
        (
            parent / name
            for parent in list(path.parents)[:DEPTH]
            for name in (DONE, MANIFEST)
            if (parent / name).is_file()
        ),
        path,
    )
    return f"make it again: {command(made)} (and --configfile, if the run had one), or by hand the command that wrote it"


def command(product: Path, configured: Iterable[str] = ()) -> str:
    """The workflow's command that makes a product, and what follows from it, again; `configured` stands in it."""
    return shlex.join(
        [".venv/bin/snakemake", "--cores", "all", *configured, "--forcerun", files.from_here(product)]
    )
