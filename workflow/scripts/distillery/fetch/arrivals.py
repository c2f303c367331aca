"""What is made of fetched or local files: a model's directory, a shard with its manifest, a problem set."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distillery import digests, files, one_writer
from distillery.fetch import (
    arrived_files,
    fetch_flags,
    fetching,
    listing,
    model_directory,
    names,
    part,
    transfer,
)
from distillery.fetch.listing import Listing
from distillery.fetch.transfer import Policy
from distillery.problems import Problem
from distillery.source_files import ENDINGS


def run_model(args: argparse.Namespace) -> tuple[int, int]:
    """What fetch_model.py does; (files of the model, how many of them came over the network)."""
    lock = listing.read(args.lock)
    return len(lock.files), model(lock, args.output_dir, workers=args.workers, **_asked(args))


def run_files(args: argparse.Namespace) -> tuple[int, int]:
    """What fetch_files.py does; (files of the lock, how many of them came over the network)."""
    lock = listing.read(args.lock)
    return len(lock.files), folder(lock, args.output_dir, **_asked(args))


def run_shard(args: argparse.Namespace) -> tuple[int, int | None]:
    """What fetch_shard.py does; (files that came over the network, rows if it is parquet)."""
    return shard(listing.read(args.lock), args.file, args.output, store=args.store, **_asked(args))


def _asked(args: argparse.Namespace) -> dict[str, Any]:
    """Who is asked, and how, as every command that fetches is told."""
    return {"endpoints": args.endpoint, "policy": fetch_flags.policy(args), "offline": args.offline}


def run_local(args: argparse.Namespace) -> int | None:
    """What fetch_path.py does; the rows of a shard."""
    if args.kind == "shard":
        return local_shard(args.path, args.output, args.mode)
    return local_model(args.path, args.output, args.mode)


def model(lock: Listing, directory: Path, **asked: Any) -> int:
    """As `folder`, of a whole model.

    Raises:
        Problem: as `folder`, or a file of a model is missing.
    """
    return folder(lock, directory, check=arrived_files.check_model, **asked)


def folder(
    lock: Listing,
    directory: Path,
    *,
    endpoints: list[str],
    policy: Policy,
    offline: bool,
    workers: int = 1,
    check: Callable[[Path], object] = lambda arrived: None,
) -> int:
    """Make `directory` exactly the lock's files and a manifest; returns how many came over the network.

    Files arrive in a folder beside it, which survives a killed run; what `directory` already has is used.

    Args:
        check: of the folder in which they arrived, before it gets its name.
    """
    with one_writer.of(directory):
        paths = {one.name: names.inside(directory, one.name) for one in lock.files}
        if (directory / digests.MANIFEST).is_file() and _is_exactly(lock, directory):
            return 0
        staging = directory.with_name(f".{directory.name}.fetch")
        staged = {name: names.inside(staging, name) for name in paths}
        _remove_others(staging, set(staged.values()))
        for one in lock.files:
            here, there = staged[one.name], paths[one.name]
            if one.is_verifiable and not here.exists() and transfer.is_there(one, there):
                here.parent.mkdir(parents=True, exist_ok=True)
                _link(there, here)
        fetched = fetching.fetch(
            lock, staged, endpoints=endpoints, policy=policy, workers=workers, offline=offline
        )
        check(staging)
        with files.atomic_directory(directory) as made:
            for name, path in staged.items():
                target = names.inside(made, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                _link(path, target)
            model_directory.write_manifest(made, source(lock), lock.revision, lock.date)
        files.remove(staging)
        return fetched


def _remove_others(staging: Path, wanted: set[Path]) -> None:
    """Remove what an earlier lock left: the model is judged by the files of this one alone."""
    kept = wanted | {path for one in wanted for path in part.beside(one)}
    for path in staging.rglob("*"):
        if path.is_file() and path not in kept:
            path.unlink()


def _is_exactly(lock: Listing, directory: Path) -> bool:
    wanted = {one.name for one in lock.files}
    return digests.contents(directory) == wanted and all(
        transfer.is_there(one, directory / one.name) for one in lock.files
    )


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:  # a file system without hard links
        shutil.copy2(path, target)


def source(lock: Listing) -> dict[str, Any]:
    """What a manifest says about the origin."""
    said = {"kind": "hub", "host": lock.host, "repo": lock.repo, "repo_type": lock.repo_type}
    return said | ({"requested": lock.requested} if lock.requested else {})


def shard(
    lock: Listing,
    name: str,
    output: Path,
    *,
    endpoints: list[str],
    policy: Policy,
    offline: bool,
    store: Path | None = None,
) -> tuple[int, int | None]:
    """Bring one file of a dataset to `output`, its manifest beside it; (files fetched, rows if parquet).

    With a `store` the file lies there and `output` is a link to it: what Snakemake removes before a job is
    the link, and it takes a read-only output for one that must not be made again.
    """
    place = output if store is None else names.inside(store, name)
    with _arriving(output):
        fetched = fetching.fetch(
            lock, {name: place}, endpoints=endpoints, policy=policy, workers=1, offline=offline
        )
        rows = arrived_files.check_shard(place, lock.file(name).rows) if name.endswith(ENDINGS) else None
        if store is not None:  # relative, so that both can move together
            _link_to(os.path.relpath(place.resolve(), output.parent.resolve()), output)
        write_shard_manifest(output, source(lock) | {"name": name}, lock.revision, lock.date, rows)
    return fetched, rows


@contextmanager
def _arriving(output: Path) -> Iterator[None]:
    """One writer; a digest beside the file is of a shard that was made here before, and goes: the manifest has this one's."""
    with one_writer.of(output):
        files.remove(digests.beside(output))
        yield


def _link_to(place: str | Path, output: Path) -> None:
    with files.atomic(output) as partial:
        partial.symlink_to(place)


def write_shard_manifest(
    output: Path, origin: dict[str, Any], revision: str | None, date: str | None, rows: int | None
) -> None:
    """Where a shard came from, its size and digest, and its rows where they were counted: the manifest beside it."""
    entry = digests.entry(output.name, output)
    value = {
        "source": origin,
        "revision": revision,
        "date": date,
        "files": [entry | ({} if rows is None else {"rows": rows})],
    }
    digests.write_json(digests.manifest_of(output), value)


def local_model(path: Path, directory: Path, mode: str) -> None:
    """A model's files from a directory of this machine, linked or copied, with a manifest."""
    linked = model_directory.local_files(path)
    with files.atomic_directory(directory) as made:
        for name in linked:
            target = names.inside(made, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            _bring(path / name, target, mode)
        arrived_files.check_model(made)
        model_directory.write_manifest(made, {"kind": "path", "name": path.resolve().name}, revision=None)


def local_shard(path: Path, output: Path, mode: str) -> int:
    """A shard of this machine, linked or copied, with its manifest; returns its rows."""
    if not path.is_file():
        raise Problem("no such file", where=path)
    rows = arrived_files.data_rows(path)
    with _arriving(output):
        if mode == "copy":
            with files.atomic(output) as partial:
                shutil.copyfile(path, partial)
        else:
            _link_to(path.resolve(), output)
        write_shard_manifest(output, {"kind": "path", "name": path.name}, None, None, rows)
    return rows


def _bring(path: Path, target: Path, mode: str) -> None:
    if mode == "copy":
        shutil.copyfile(path, target)
        target.chmod(0o444)
    else:
        target.symlink_to(path.resolve())
