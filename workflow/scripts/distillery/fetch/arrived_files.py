"""Whether a file that came is the one that was meant, and whole: digests, footers, headers."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from distillery import files, json_files, parquet_pages, safetensors_header
from distillery.fetch.listing import RemoteFile
from distillery.problems import Problem, first_line


def mismatch(wanted: RemoteFile, path: Path) -> str | None:
    """Why the file is not the wanted one, or None; size first, then the digest."""
    size = path.stat().st_size
    if wanted.bytes is not None and size != wanted.bytes:
        return f"{size} bytes"
    if wanted.sha256 is not None:
        digest = files.sha256(path)
        return None if digest == wanted.sha256 else f"sha256 {digest}"
    if wanted.git_sha1 is not None:
        digest = git_blob(path)
        return None if digest == wanted.git_sha1 else f"git blob {digest}"
    return None


def git_blob(path: Path) -> str:
    """git's object id of a file's content."""
    made = hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            made.update(block)
    return made.hexdigest()


def malformed(name: str, path: Path) -> str | None:
    """Why the bytes cannot be what the name says, or None; the digest alone says nothing when unknown."""
    try:
        if name.endswith(".parquet"):
            parquet_rows(path)
        elif name.endswith(".safetensors"):
            safetensors_header.read(path)
        elif name.endswith(".json"):
            _json(path.read_text(encoding="utf-8"))
        elif name.endswith(".jsonl"):
            with path.open(encoding="utf-8") as lines:
                json_files.loads(next(lines, "null"))
    except (ValueError, RecursionError) as error:
        return f"no {name.rpartition('.')[2]} file ({first_line(error)[:120]})"
    return None


def _json(text: str) -> None:
    """One value, or several rows of a dataset one after the other."""
    _, end = json.JSONDecoder().raw_decode(text.lstrip())
    rest = text.lstrip()[end:].lstrip()
    if rest and not rest.startswith("{"):
        json_files.loads(text)


def data_rows(path: Path) -> int:
    """Rows of a dataset's file of any format; of text they are counted by reading it.

    Raises:
        Problem: the file cannot be read.
    """
    from distillery.tokenize.readers import Source

    return Source(path).rows()


def parquet_rows(path: Path) -> int:
    """Rows according to the footer.

    Raises:
        ValueError: no parquet file, or a damaged footer.
    """
    return sum(group.rows for group in parquet_pages.groups(path))


def check_model(directory: Path) -> None:
    """Config, tokenizer and weights are there, and the index names exactly the tensors that the shards hold.

    Raises:
        Problem: a file is missing or the index and the shards disagree.
    """
    for wanted in ("config.json", "tokenizer_config.json"):
        if not (directory / wanted).is_file():
            raise Problem(
                "the model lacks a file", where=directory, wanted=wanted, fix="fetch it too (--files)"
            )
    shards = {path.name: _tensors(path) for path in sorted(directory.glob("*.safetensors"))}
    if not shards:
        raise Problem("the model has no weights", where=directory, wanted="*.safetensors")
    index = directory / "model.safetensors.index.json"
    if not index.is_file():
        return
    promised = json_files.read(index)["weight_map"]
    held = {name: shard for shard, header in shards.items() for name in header}
    wrong = sorted(name for name in promised.keys() | held.keys() if promised.get(name) != held.get(name))
    if wrong:
        name = wrong[0]
        raise Problem(
            "the weights are not those of their index",
            where=f"{index}, {name} ({len(wrong)} tensors differ)",
            found=held.get(name, "in no shard that is here"),
            wanted=promised.get(name, "not in the index"),
            fix="fetch the missing shards, or another revision",
        )


def _tensors(path: Path) -> Collection[str]:
    try:
        return safetensors_header.read(path)
    except ValueError as error:
        raise Problem(
            "not a whole safetensors file", where=path, found=error, fix="fetch the file again"
        ) from None


def check_shard(path: Path, rows: int | None) -> int:
    """Rows of a shard.

    Raises:
        Problem: another number of rows than known, or a file that cannot be read.
    """
    found = data_rows(path)
    if rows is not None and found != rows:
        raise Problem("a shard has another number of rows than known", where=path, found=found, wanted=rows)
    return found


def run_count(args: argparse.Namespace) -> None:
    """Write what `count` says of fetch_count_rows.py's shards.

    Raises:
        Problem: as `count`.
    """
    files.write_json(args.output, count(args.shards, args.rows))


def count(shards: list[Path], rows: int) -> dict[str, Any]:
    """{"rows", "shards": {name: rows}} of all shards together.

    Raises:
        Problem: their sum is not `rows`.
    """
    found = {shard.name: data_rows(shard) for shard in shards}
    if sum(found.values()) != rows:
        raise Problem(
            "the dataset has another number of rows than known",
            where=f"{len(shards)} shards, {shards[0]} ...",
            found=sum(found.values()),
            wanted=rows,
            fix="a shard is missing or of another revision: compare the files and the revision of the source",
        )
    return {"rows": rows, "shards": found}
