"""Several datasets into one, without decoding a token: indices by offset arithmetic, .bin files copied by the kernel.

The parts follow one another in the order of their names, whatever order they are given in.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distillery import files
from distillery.data import indexed
from distillery.data.outputs import NAMED_ROWS, all_paths, hidden, manifest_path, rejected_path, rows_path
from distillery.problems import Problem, UsageProblem

# what must agree between parts for their tokens to mean the same
SAME = ("format", "handler", "template", "tokenizer", "options")
COUNTS = ("rows", "kept", "truncated", "documents", "tokens", "supervised_tokens")


def run(prefixes: Sequence[Path], target: Path) -> dict[str, Any]:
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
    targets = all_paths(target)
    try:
        for field in indexed.FIELDS:
            _merge_field(parts, target, field)
        _merge_rows(parts, hidden(rows_path(target)))
        _merge_rejected(parts, hidden(rejected_path(target)))
        files.remove(manifest_path(target))
        for path in targets:
            if hidden(path).exists():
                os.replace(hidden(path), path)
            else:
                files.remove(path)
        files.write_json(manifest_path(target), manifest)
    finally:
        for path in targets:
            files.remove(hidden(path))
    return manifest


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


def _merge_field(parts: list[Path], target: Path, field: str) -> None:
    bin_path, idx_path = indexed.paths(target, field)
    pairs = [indexed.paths(part, field) for part in parts]
    indices = [(idx, indexed.read(bin_, idx)) for bin_, idx in pairs]
    indexed.concatenated(indices).write(hidden(idx_path))
    with hidden(bin_path).open("wb", buffering=0) as stream:
        for source, _ in pairs:
            copy(source, stream)


def _merge_rows(parts: list[Path], target: Path) -> None:
    import pyarrow.parquet as pq

    sources = [pq.ParquetFile(rows_path(part)) for part in parts]
    with pq.ParquetWriter(target, sources[0].schema_arrow, compression="zstd") as writer:
        for source in sources:
            for batch in source.iter_batches():
                writer.write_batch(batch)


def _merge_rejected(parts: list[Path], target: Path) -> None:
    sources = [rejected_path(part) for part in parts if rejected_path(part).exists()]
    if sources:
        with target.open("wb", buffering=0) as stream:
            for source in sources:
                copy(source, stream)


def _manifest(part: Path) -> dict[str, Any]:
    path = manifest_path(part)
    if not path.is_file():
        raise Problem(
            "a dataset without a manifest",
            where=path,
            found="no such file: it was not finished, or not made by preprocess_data.py",
            fix=f"make {part} again with preprocess_data.py",
        )
    return files.read_json(path)


def _merged(parts: list[Path], manifests: list[dict[str, Any]]) -> dict[str, Any]:
    first = manifests[0]
    for part, manifest in zip(parts, manifests, strict=True):
        for key in SAME:
            if manifest[key] != first[key]:
                raise Problem(
                    f"datasets that differ in {key} cannot be merged",
                    where=f"{manifest_path(part)}, {key}",
                    found=manifest[key],
                    wanted=f"{first[key]}, as in {manifest_path(parts[0])}",
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
        "dropped": {"overlong": _named([manifest["dropped"]["overlong"] for manifest in manifests])},
        "noted": {
            note: _named([m["noted"][note] for m in manifests if note in m["noted"]]) for note in notes
        },
        "crc32": {
            field: [value for manifest in manifests for value in manifest["crc32"][field]]
            for field in first["crc32"]
        },
    }


def _named(entries: list[dict[str, Any]]) -> dict[str, Any]:
    rows = [row for entry in entries for row in entry["rows"]]
    return {"count": sum(entry["count"] for entry in entries), "rows": rows[:NAMED_ROWS]}
