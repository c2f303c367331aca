"""A dataset as preprocess_data.py left it, made whole: its indices checked, rows, counts and digests written beside it.

The reference writes .bin and .idx alone. Of a dropped row it still ends a document, so that the index tells which rows
the documents came from; of neatly packed rows the attention mask tells how many a sequence holds, but not which.
It rejects no row: odd ones become documents as they can, and count as kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from distillery import digests, files
from distillery.launch.mindspeed import accepted_flags
from distillery.marks import IGNORED
from distillery.problems import Problem
from distillery.tokenize import indexed, preprocessing
from distillery.tokenize.dataset_files import DatasetFiles
from distillery.tokenize.indexed import FIELDS, LABELS, MASK
from distillery.tokenize.origins import Origins, Row
from distillery.tokenize.outputs import NAMED_ROWS
from distillery.tokenize.readers import Source
from distillery.tokenize.row_spans import UUID, Recipe

BLOCK = 1 << 22  # tokens looked at at a time


def stems(recipe: Recipe) -> tuple[str, ...]:
    """The names between prefix and `_document` that the reference gives the files of a recipe."""
    return recipe.fields if recipe.plain else tuple(f"packed_{field}" for field in FIELDS)


def written(recipe: Recipe, prefix: Path) -> tuple[Path, ...]:
    """The files that the reference leaves."""
    made = DatasetFiles(prefix, stems(recipe))
    return tuple(path for stem in made.stems for path in (made.bin(stem), made.idx(stem)))


def adopt(recipe: Recipe, shard: Path, prefix: Path, version: str | None = None) -> dict[str, Any]:
    """Write rows and manifest beside the reference's files and return the manifest, which names its version.

    Raises:
        Problem: indices that do not fit their data, each other, or the shard.
    """
    made = DatasetFiles(prefix, stems(recipe))
    indices = {stem: indexed.read(made.bin(stem), made.idx(stem)) for stem in made.stems}
    first = indices[made.stems[0]]
    for stem, index in indices.items():
        same = np.array_equal(index.lengths, first.lengths) and np.array_equal(
            index.documents, first.documents
        )
        if index.dtype != indexed.INT32 or not (same or recipe.plain):
            raise Problem(
                "the reference's fields do not agree",
                where=made.idx(stem),
                found=f"{len(index.lengths)} sequences of type {indexed.DTYPES[index.dtype]}",
                wanted=f"the lengths of {made.stems[0]}, as <i4",
                fix="tokenize again; look into the log for a run that was disturbed",
            )
    digest = files.sha256(shard)
    digests.check(shard, digest)
    source = Source(shard)
    named = [UUID] if UUID in source.columns() else []
    uuids = [row[UUID] for block in source.blocks(named) for row in block] if named else None
    total = source.rows() if uuids is None else len(uuids)
    kept, dropped = _rows(recipe, made, first, total, shard)
    rows = ((shard.name, row, uuids[row] if uuids else None) for row in kept)
    _write_rows(made.rows, rows, recipe.rules.pack, len(first.lengths))
    count = len(kept) if not recipe.rules.pack else total - dropped
    named = sorted(set(range(total)) - set(kept)) if not recipe.rules.pack else []
    renderer, hub = None if recipe.plain else recipe.renderer(), recipe.work().tokenizer
    manifest = preprocessing.described(recipe, renderer, hub, made.stems) | {
        "engine": accepted_flags.engine(version),
        "inputs": [{"name": shard.name, "sha256": digest, "rows": total}],
        "rows": total,
        "kept": count,
        "truncated": 0,
        "rejected": {"count": 0, "reasons": {}},
        "dropped": {
            "overlong": {
                "count": dropped,
                "rows": [
                    {"file": shard.name, "row": row, "uuid": uuids[row] if uuids else None}
                    for row in named[:NAMED_ROWS]
                ],
            }
        },
        "noted": {},
        "roles": {},
        "documents": len(first.lengths),
        "tokens": int(first.lengths.sum(dtype=np.int64)),
        "supervised_tokens": 0 if recipe.plain else _supervised(made.bin(f"packed_{LABELS}")),
    }
    return made.describe(manifest)


def _rows(
    recipe: Recipe, made: DatasetFiles, index: indexed.Index, total: int, shard: Path
) -> tuple[list[int], int]:
    """(numbers of the rows that are documents, number of those that are not); packed rows are only counted."""
    if recipe.rules.pack:
        mask = np.memmap(made.bin(f"packed_{MASK}"), "<i4", "r").reshape(len(index.lengths), -1)
        return [], total - int(mask.max(axis=1).sum(dtype=np.int64))
    added = np.diff(index.documents)
    if len(added) != total:
        raise Problem(
            "the reference's documents are not the shard's rows",
            where=made.idx(made.stems[0]),
            found=f"{len(added)} documents",
            wanted=f"{total}, the rows of {shard.name}; a dropped row still ends one",
            fix="read the log: another file was tokenized, or rows were left out",
        )
    kept = np.flatnonzero(added).tolist()
    return kept, total - len(kept)


def _write_rows(path: Path, rows: Iterable[Row], packed: bool, sequences: int) -> None:
    """The table that our own tokenizing writes; lists without entries where rows were packed."""
    table = Origins(path)
    table.add(rows)
    table.close()
    if packed:
        table.pack([[] for _ in range(sequences)])


def _supervised(labels: Path) -> int:
    tokens = np.memmap(labels, "<i4", "r")
    return sum(
        int(np.count_nonzero(tokens[at : at + BLOCK] != IGNORED)) for at in range(0, len(tokens), BLOCK)
    )
