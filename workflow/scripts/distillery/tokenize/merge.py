"""Several datasets into one, without decoding a token: indices by offset arithmetic, .bin files copied by the kernel.

The parts follow one another in the order of their names, whatever order they are given in; of a file that several jobs read,
each a span of its rows, all spans must be there.
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

from distillery import digests, parquet_files, shard_names
from distillery.problems import Problem, UsageProblem
from distillery.tokenize import indexed
from distillery.tokenize.dataset_files import DatasetFiles, hidden
from distillery.tokenize.origins import GROUP
from distillery.tokenize.outputs import NAMED_ROWS

# what must agree between parts for their tokens to mean the same
SAME = (
    "format",
    "fields",
    "handler",
    "map_keys",
    "thoughts",
    "hold_out",
    "left_out",
    "template",
    "tokenizer",
    "options",
)
COUNTS = ("rows", "kept", "truncated", "documents", "tokens", "supervised_tokens")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Do what tokenize_merge.py's flags ask; returns the merged dataset's manifest."""
    return merge(args.input_prefixes, args.output_prefix)


def merge(prefixes: Sequence[Path], target: Path) -> dict[str, Any]:
    """Write the dataset `target` from the datasets `prefixes` and return its manifest.

    Raises:
        UsageProblem: no or repeated prefixes, or the target among them.
        Problem: a part that is not whole, parts that were tokenized differently, a span that is missing, or no row left.
    """
    parts = sorted(prefixes, key=lambda prefix: (shard_names.in_order(prefix.name), str(prefix)))
    resolved = [part.resolve() for part in parts]
    if len(set(resolved)) < len(parts) or target.resolve() in resolved:
        raise UsageProblem(
            "a dataset would be merged with itself", where="--input-prefixes", found=" ".join(map(str, parts))
        )
    manifests = [_manifest(part) for part in parts]
    manifest = _merged(parts, manifests)
    if manifest["kept"] == 0:
        raise Problem(
            "no row is left to train on",
            where=target.parent,
            found=f"{manifest['rows']} rows read, {manifest['rejected']['count']} rejected",
            wanted="at least one usable row",
            fix="read the _rejected.jsonl files of the parts",
        )
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
    import pyarrow as pa
    import pyarrow.parquet as pq

    with closing(parquet_files.Table(sources[0].rows)) as first:
        schema = first.file.schema_arrow
    waiting = pa.Table.from_batches([], schema)  # its empty_table would bring pandas
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for each in sources:  # one open at a time: there may be more than a process can have
            with closing(parquet_files.Table(each.rows)) as table, parquet_files.named(each.rows, "its rows"):
                for batch in table.file.iter_batches(GROUP):
                    waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
                    if len(waiting) >= GROUP:  # groups of one size, however rows were divided among parts
                        writer.write_table(waiting[:GROUP].combine_chunks(), GROUP)
                        waiting = waiting[GROUP:]
        writer.write_table(waiting.combine_chunks(), GROUP)


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
        "inputs": _inputs(parts, manifests),
        "rejected": {"count": sum(reasons.values()), "reasons": dict(reasons)},
        "roles": dict(roles),
        "dropped": {
            why: _named([manifest["dropped"][why] for manifest in manifests]) for why in first["dropped"]
        },
        "noted": {
            note: _named([m["noted"][note] for m in manifests if note in m["noted"]]) for note in notes
        },
    }


def _inputs(parts: list[Path], manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The files that were read, each once: rows of its spans are added up."""
    found: list[dict[str, Any]] = []
    expected = None  # (name, digest, spans, number) of the span that must follow
    named = [(part, entry) for part, one in zip(parts, manifests, strict=True) for entry in one["inputs"]]
    for part, entry in named:
        number, total = map(int, entry.get("span", "1/1").split("/"))
        if (expected or number > 1) and expected != (entry["name"], entry["sha256"], total, number):
            raise _incomplete(part, entry, expected)
        if number == 1:
            found.append({key: value for key, value in entry.items() if key != "span"})
        else:
            found[-1]["rows"] += entry["rows"]
        expected = (entry["name"], entry["sha256"], total, number + 1) if number < total else None
    if expected:
        raise _incomplete(*named[-1], expected)
    return found


def _incomplete(part: Path, entry: dict[str, Any], expected: tuple[str, str, int, int] | None) -> Problem:
    name, _, total, number = expected or (entry["name"], "", int(entry["span"].split("/")[1]), 1)
    return Problem(
        "spans of a file that are not all of its rows",
        where=f"{DatasetFiles(part).manifest}, inputs",
        found=f"{entry['name']}, span {entry.get('span', '1/1')}, sha256 {entry['sha256'][:12]}",
        wanted=f"span {number}/{total} of {name} beside the others, of the same file",
        fix="give all spans to --input-prefixes; after a change of the file make each again",
    )


def _named(entries: list[dict[str, Any]]) -> dict[str, Any]:
    rows = [row for entry in entries for row in entry["rows"]]
    return {"count": sum(entry["count"] for entry in entries), "rows": rows[:NAMED_ROWS]}
