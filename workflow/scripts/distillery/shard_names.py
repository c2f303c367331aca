"""Names of a dataset's shards: the files of its source, in sorted order, under names that are safe everywhere.

    local_names(["a/rows (1).csv", "b/rows (1).csv"])     # {"a_rows_1_.csv": "a/rows (1).csv", "b_rows_1_.csv": ...}
    batches(["train-00000-of-00002.parquet", ...], 1)     # {"train-00000-of-00002": ("train-00000-of-00002.parquet",), ...}

A shard keeps the name of its file; signs that a shell, a path or Snakemake reads otherwise become `_`, and a folder's name goes
before it where two files would have one name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from distillery.source_files import ENDINGS

UNSAFE = re.compile(r"[^\w.+=@-]+")
OPENR1 = re.compile(r"train-(\d+)-of-(\d+)")
LONGEST = 160  # bytes: endings of what is made of a shard follow it
LIKE_OURS = re.compile(r"\.(manifest\.json|sha256)")  # what lies beside shards


def local_names(paths: Sequence[str]) -> dict[str, str]:
    """Names that shards have here, in sorted order, with their paths in the source."""
    names = {path: _safe(path.rpartition("/")[2]) for path in paths}
    often = Counter(names.values())
    names |= {path: _safe(path.replace("/", "_")) for path, name in names.items() if often[name] > 1}
    found: dict[str, str] = {}
    for path, name in sorted(names.items()):
        number, unique = 2, name
        while unique in found:
            unique, number = f"{number}-{name}", number + 1
        found[unique] = path
    return dict(sorted(found.items(), key=lambda item: (stem(item[0]), item[0])))


def _safe(name: str) -> str:
    ending = _ending(name)
    made = LIKE_OURS.sub(r"_\1", UNSAFE.sub("_", name.removesuffix(ending)).lstrip(".-"))
    while len(made.encode()) > LONGEST:
        made = made[1:]
    return (made or "_") + ending


def _ending(name: str) -> str:
    return next((ending for ending in reversed(ENDINGS) if name.endswith(ending)), "")


def stem(name: str) -> str:
    """A shard's name without the ending that says how it is read."""
    return name.removesuffix(_ending(name))


def batches(names: Sequence[str], size: int) -> dict[str, tuple[str, ...]]:
    """Shards that one job reads, `size` each, by names in their order: a shard's own, or `files-00000-00099`.

    OpenR1-Math-220k's names say more: `train-00000-00099-of-01000`.
    """
    own = singles(names)
    if size == 1:
        return {one: (name,) for one, name in own.items()}
    groups = [list(names[at : at + size]) for at in range(0, len(names), size)]
    plain = all(OPENR1.fullmatch(one) for one in own)
    found = {}
    for number, group in enumerate(groups):
        if plain:
            (first, total), (last, _) = (
                OPENR1.fullmatch(stem(one)).groups() for one in (group[0], group[-1])
            )  # type: ignore[union-attr]
            label = stem(group[0]) if len(group) == 1 else f"train-{first}-{last}-of-{total}"
        else:
            label = f"files-{number * size:05d}-{number * size + len(group) - 1:05d}"
        found[label] = tuple(group)
    return found


def singles(names: Sequence[str]) -> dict[str, str]:
    """Each shard by its name as a batch of one: its stem where that tells it from the others."""
    stems = {name: stem(name) for name in names}
    often = Counter(stems.values())
    return {short if often[short] == 1 else name: name for name, short in stems.items()}
