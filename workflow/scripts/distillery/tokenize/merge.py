"""Several datasets into one, without decoding a token: indices by offset arithmetic, .bin files copied by the kernel.

The parts follow one another in the order of their names, whatever order they are given in.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from distillery import digests, parquet_files
from distillery.problems import Problem, UsageProblem
from distillery.tokenize import indexed
from distillery.tokenize.dataset_files import DatasetFiles, hidden
from distillery.tokenize.outputs import NAMED_ROWS

# what must agree between parts for their tokens to mean the same
SAME = ("format", "fields", "handler", "map_keys", "thoughts", "hold_out", "template", "tokenizer", "options")
COUNTS = ("rows", "kept", "truncated", "documents", "tokens", "supervised_tokens")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Do what tokenize_merge.py's flags ask; returns the merged dataset's manifest."""
    return merge(args.input_prefixes, args.output_prefix)


def merge(prefixes: Sequence[Path], target: Path) -> dict[str, Any]:
    """Write the dataset `target` from the datasets `prefixes` and return its manifest.

    Raises:
        UsageProblem: no or repeated prefixes, or the target among them.
        Problem: a part that is not whole, or parts that were tokenized differently.
    """
    parts = sorted(prefixes, key=lambda prefix: (prefix.name, str(prefix)))
    resolved = [part.resolve() for part in parts]
    if len(set(resolved)) < len(parts) or target.resolve() in resolved:
        raise UsageProblem(
            "a dataset would be merged with itself", where="--input-prefixes", found=" ".join(map(str, parts))
        )
    manifests = [_manifest(part) for part in parts]
    manifest = _merged(parts, manifests)
    stems = tuple(manifest["fields"])
    sources, made = [DatasetFiles(part, stems) for part in parts], DatasetFiles(target, stems)
    for source, part in zip(sources, manifests, strict=True):
        source.check(part, digests.again(source.manifest))
    with made.writing():
        for stem in stems:
            _merge_field(sources, made, stem)
        _merge_rows(sources, hidden(made.rows))
        _merge_rejected(sources, hidden(made.rejected))
        return made.commit(manifest)


def copy(source: Path, target: Any) -> None:
    """Append a file to an open one inside the kernel; by hand where the file system cannot."""
    with source.open("rb") as stream:
        left = os.fstat(stream.fileno()).st_size
        try:
            while left and (copied := os.copy_file_range(stream.fileno(), target.fileno(), left)):
                left -= copied
        except (AttributeError, OSError):
            os.lseek(stream.fileno(), -left, os.SEEK_END)
        if left:
            shutil.copyfileobj(stream, target, 1 << 20)
            target.flush()


def _merge_field(sources: list[DatasetFiles], made: DatasetFiles, stem: str) -> None:
    indices = [(each.idx(stem), indexed.read(each.bin(stem), each.idx(stem))) for each in sources]
    indexed.concatenated(indices).write(hidden(made.idx(stem)))
    with hidden(made.bin(stem)).open("wb", buffering=0) as stream:
        for each in sources:
            copy(each.bin(stem), stream)


def _merge_rows(sources: list[DatasetFiles], target: Path) -> None:
    import pyarrow.parquet as pq

    with closing(parquet_files.Table(sources[0].rows)) as first:
        schema = first.file.schema_arrow
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for each in sources:  # one open at a time: there may be more than a process can have
            with closing(parquet_files.Table(each.rows)) as table, parquet_files.named(each.rows, "its rows"):
                for batch in table.file.iter_batches():  # large ones: each becomes a row group
                    writer.write_batch(batch)


def _merge_rejected(sources: list[DatasetFiles], target: Path) -> None:
    found = [each.rejected for each in sources if each.rejected.exists()]
    if found:
        with target.open("wb", buffering=0) as stream:
            for source in found:
                copy(source, stream)


def _manifest(part: Path) -> dict[str, Any]:
    path = DatasetFiles(part).manifest
    if not path.is_file():
        raise Problem(
            "a dataset without a manifest",
            where=path,
            found="no such file: it was not finished, or not made by preprocess_data.py",
            fix=f"make {part} again with preprocess_data.py",
        )
    return digests.read_json(path)


def _merged(parts: list[Path], manifests: list[dict[str, Any]]) -> dict[str, Any]:
    first = manifests[0]
    for part, manifest in zip(parts, manifests, strict=True):
        for key in SAME:
            if manifest.get(key) != first.get(key):
                raise Problem(
                    f"datasets that differ in {key} cannot be merged",
                    where=f"{DatasetFiles(part).manifest}, {key}",
                    found=manifest.get(key),
                    wanted=f"{first.get(key)}, as in {DatasetFiles(parts[0]).manifest}",
                    fix="tokenize all shards with the same flags and tokenizer",
                )
    reasons: Counter[str] = Counter()
    roles: Counter[str] = Counter()
    for manifest in manifests:
        reasons.update(manifest["rejected"]["reasons"])
        roles.update(manifest["roles"])
    notes = sorted({note for manifest in manifests for note in manifest["noted"]})
    return {
        **first,
        **{key: sum(manifest[key] for manifest in manifests) for key in COUNTS},
        "inputs": [entry for manifest in manifests for entry in manifest["inputs"]],
        "rejected": {"count": sum(reasons.values()), "reasons": dict(reasons)},
        "roles": dict(roles),
        "dropped": {
            why: _named([manifest["dropped"][why] for manifest in manifests]) for why in first["dropped"]
        },
        "noted": {
            note: _named([m["noted"][note] for m in manifests if note in m["noted"]]) for note in notes
        },
    }


def _named(entries: list[dict[str, Any]]) -> dict[str, Any]:
    rows = [row for entry in entries for row in entry["rows"]]
    return {"count": sum(entry["count"] for entry in entries), "rows": rows[:NAMED_ROWS]}
