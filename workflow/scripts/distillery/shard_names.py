"""Names of a dataset's shards: the files of its source, in sorted order, under names that are safe everywhere.

    local_names(["a/rows (1).csv", "b/rows (1).csv"])     # {"a_rows_1_.csv": "a/rows (1).csv", "b_rows_1_.csv": ...}
    batches(["train-00000-of-00002.parquet", ...], 1)     # {"train-00000-of-00002": ("train-00000-of-00002.parquet",), ...}

A shard keeps the name of its file; signs that a shell, a path or Snakemake reads otherwise become `_`, and a folder's name goes
before it where two files would have one name. Jobs that read a span of a shard's rows each say so behind SPAN, which no name has.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from distillery.source_files import ENDINGS

UNSAFE = re.compile(r"[^\w.+=@-]+")
ENDING = re.compile(rf"({'|'.join(map(re.escape, ENDINGS))})\Z")
OPENR1 = re.compile(r"train-(\d+)-of-(\d+)")
LONGEST = 160  # bytes: endings of what is made of a shard follow it
SPAN = "~"
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
    found = ENDING.search(name)
    return found[0] if found else ""


def stem(name: str) -> str:
    """A shard's name without the ending that says how it is read."""
    return name.removesuffix(_ending(name))


def batches(names: Sequence[str], size: int, spans: int = 1) -> dict[str, tuple[str, ...]]:
    """Shards that one job reads, `size` each, by names in their order: a shard's own, or `files-00000-00099`.

    OpenR1-Math-220k's names say more: `train-00000-00099-of-01000`.

    Args:
        spans: where a shard is a batch of its own, so many jobs read it side by side: `big~rows-1-of-4`.
    """
    if size == 1:
        return {label: (name,) for one, name in singles(names).items() for label in _spans(one, spans)}
    plain = _plain(names)
    found = {}
    for first in range(0, len(names), size):
        group = tuple(names[first : first + size])
        found[_label(group, first, plain == len(names))] = group
    return found


def shortened(names: Sequence[str], size: int) -> dict[str, tuple[str, ...]]:
    """The batches of `size` or fewer, by their names, that only the first so many of the shards may end with."""
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        found.setdefault(stem(name), (name,))
    plain = _plain(names)
    for count in range(1, len(names)):
        first = (count - 1) // size * size
        group = tuple(names[first:count])
        found.setdefault(_label(group, first, count <= plain), group)
    return found


def _plain(names: Sequence[str]) -> int:
    """How many of the first shards are told apart by stems as OpenR1-Math-220k's."""
    stems: set[str] = set()
    for short in map(stem, names):
        if short in stems or not OPENR1.fullmatch(short):
            break
        stems.add(short)
    return len(stems)


def _label(group: Sequence[str], first: int, plain: bool) -> str:
    if not plain:
        return f"files-{first:05d}-{first + len(group) - 1:05d}"
    if len(group) == 1:
        return stem(group[0])
    (begin, total), (end, _) = (OPENR1.fullmatch(stem(one)).groups() for one in (group[0], group[-1]))  # type: ignore[union-attr]
    return f"train-{begin}-{end}-of-{total}"


def _spans(batch: str, count: int) -> list[str]:
    width = len(str(count))  # so that names sort as spans do
    spans = [f"{batch}{SPAN}rows-{number:0{width}d}-of-{count}" for number in range(1, count + 1)]
    return spans if count > 1 else [batch]


def undivided(batch: str) -> str:
    """The batch that a span is of; another is itself."""
    return batch.partition(SPAN)[0]


def span(batch: str) -> str | None:
    """Which of how many spans, `1/4`; None for a batch that is no span."""
    words = batch.partition(SPAN)[2].split("-")
    return f"{int(words[1])}/{words[3]}" if len(words) > 1 else None


def in_order(batch: str) -> tuple[str, ...]:
    """What sorts batches, spans of one among them, as their shards are sorted."""
    return batch.partition(SPAN)


def singles(names: Sequence[str]) -> dict[str, str]:
    """Each shard by its name as a batch of one: its stem where that tells it from the others."""
    stems = {name: stem(name) for name in names}
    often = Counter(stems.values())
    return {short if often[short] == 1 else name: name for name, short in stems.items()}
