"""The quality card of a tokenized dataset: what is in it, what will be cut, what repeats, what leaks.

Lengths come from the index, counts from the manifest, and texts from the shards once more, through the same handler.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distillery import digests, progress
from distillery.marks import END_THINK, THINK
from distillery.problems import Problem
from distillery.tokenize import conversation, handlers, held_rows, indexed, left_out
from distillery.tokenize.conversation import Rejected
from distillery.tokenize.dataset_files import DatasetFiles
from distillery.tokenize.left_out import LeftOut
from distillery.tokenize.readers import sources
from distillery.tokenize.row_spans import UUID
from distillery.tokenize.similarity import NGRAM, NearDuplicates, Overlap, fingerprint, problems_of, words
from distillery.tokenize.taken_rows import blocks

EXAMPLES = 20
FIRST_EDGE = 64
PERCENTILES = (50, 90, 99)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Write the card that tokenize_quality.py's flags ask for, and return it.

    Raises:
        Problem: as `card`.
    """
    chosen = left_out.read(args.left_out) if args.left_out else None
    made = card(args.data_prefix, args.input, args.problems, args.seq_length, chosen, args.overlap_words)
    if args.selection:
        made["selection"] = digests.read_json(args.selection)
    if args.pass_rates:
        made["teacher"] = pass_rates(digests.read_json(path) for path in args.pass_rates)
    digests.write_json(args.output, made)
    return made


def card(
    prefix: Path,
    shards: Sequence[Path],
    problem_sets: Sequence[Path],
    seq_length: int | None,
    chosen: LeftOut | None = None,
    overlap_words: int = NGRAM,
) -> dict[str, Any]:
    """Measure a dataset.

    Args:
        prefix: of the tokenized dataset, merged or not.
        shards: the files (or directories) that it was made of.
        problem_sets: parquet files with columns uuid and problem, whose texts should not occur in training.
        seq_length: tokens that training will see of a row; None if it sees all.
        chosen: the rows that a selection left out of it.
        overlap_words: words in a row that make a question overlap with a problem.

    Raises:
        Problem: the dataset is not whole, or the shards or the selection are not those it was made of.
    """
    made = DatasetFiles(prefix)
    if not made.manifest.is_file():
        raise Problem(
            "a dataset without a manifest", where=made.manifest, fix="make it with preprocess_data.py"
        )
    manifest = digests.read_json(made.manifest)
    first = manifest["fields"][0]
    made.check(manifest, digests.again(made.manifest), [made.idx(first)])
    progress.begin("rows", manifest["rows"])
    lengths = indexed.read(made.bin(first), made.idx(first)).lengths
    _same_selection(manifest, chosen, made.manifest)
    inputs = [source for shard in shards for source in sources(shard)]
    _same_shards(manifest, [source.path for source in inputs], made.manifest)
    for path in (*(source.path for source in inputs), *problem_sets):
        digests.check_file(path)
    return {
        "rows": manifest["rows"],
        "kept": manifest["kept"],
        "rejected": manifest["rejected"],
        "dropped": {reason: entry["count"] for reason, entry in manifest["dropped"].items()},
        "noted": {note: entry["count"] for note, entry in manifest["noted"].items()},
        "documents": manifest["documents"],
        "tokens": manifest["tokens"],
        "supervised_tokens": manifest["supervised_tokens"],
        "roles": manifest["roles"],
        "lengths": measure_lengths(lengths, seq_length),
        "overlap_words": overlap_words,
        **_measure_texts(_conversations(manifest, inputs, chosen), problem_sets, overlap_words),
    }


def pass_rates(shards: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What became of a teacher's answers, over all shards.

    Returns:
        sums of `problems`, `answers`, `right`, `unfinished`, `tokens`, `rows` and `outside_pass_rate`; `solved`, problems by
        how many of their answers are right ("1/4"); `problem_types`, answers and right ones of each.
    """
    total: Counter[str] = Counter()
    solved: Counter[str] = Counter()
    kinds: dict[str, Counter[str]] = {}
    for one in shards:
        total.update({key: count for key, count in one.items() if isinstance(count, int)})
        solved.update(one["solved"])
        for kind, counts in one["problem_types"].items():
            kinds.setdefault(kind, Counter()).update(counts)
    return {
        **total,
        "solved": dict(sorted(solved.items(), key=_as_numbers)),
        "problem_types": {kind: dict(kinds[kind]) for kind in sorted(kinds)},
    }


def _as_numbers(item: tuple[str, int]) -> tuple[int, ...]:
    return tuple(map(int, item[0].split("/")))


def measure_lengths(lengths: np.ndarray, seq_length: int | None) -> dict[str, Any]:
    """Histogram over doubling bins, percentiles, and the share of rows longer than seq_length [tokens]."""
    edges = [0, FIRST_EDGE]
    while edges[-1] <= lengths.max(initial=0):
        edges.append(2 * edges[-1])
    counts, _ = np.histogram(lengths, edges)
    cut = int((lengths > seq_length).sum()) if seq_length else 0
    lost = int(np.maximum(lengths.astype(np.int64) - seq_length, 0).sum()) if seq_length else 0
    return {
        "histogram": [
            {"from": low, "below": high, "rows": int(count)}
            for low, high, count in zip(edges, edges[1:], counts, strict=False)
        ],
        "mean": float(lengths.mean()),
        **{f"p{share}": int(np.percentile(lengths, share, method="lower")) for share in PERCENTILES},
        "max": int(lengths.max()),
        "seq_length": seq_length,
        "cut_rows": cut,
        "cut_share": cut / len(lengths),
        "cut_tokens": lost,
    }


def _conversations(
    manifest: dict[str, Any], inputs: list, chosen: LeftOut | None
) -> Iterator[tuple[str, str, str]]:
    """(label of the row, question, last answer) of each row that can be used; a text has no answer."""
    handler, columns = None, manifest["fields"]
    if manifest["template"]:
        handler = handlers.mapped(manifest["handler"], manifest["map_keys"], manifest.get("thoughts"))
        columns = handler.columns()
    held = held_rows.of(manifest.get("hold_out"))
    told = held.columns if held else ()
    # of each file only the rows that were read: --max-samples may have cut any of them
    rows = {entry["name"]: entry["rows"] for entry in manifest["inputs"]}
    taken = (blocks([source], source.check(columns, (), told), rows[source.path.name]) for source in inputs)
    for block in itertools.chain.from_iterable(taken):
        progress.add(len(block.rows))
        unchosen = chosen.of(block.file) if chosen else ()
        for number, row in enumerate(block.rows, block.first):
            if number in unchosen or (held and held.holds(row)):
                continue
            label = row.get(UUID) or f"{block.file}:{number}"
            try:
                if handler is None:
                    yield label, conversation.text(row[columns[0]], columns[0]), ""
                else:
                    yield label, *conversation.ends(handler.convert(row))
            except Rejected:
                continue


def _measure_texts(
    rows: Iterator[tuple[str, str, str]], problem_sets: Sequence[Path], size: int
) -> dict[str, Any]:
    asked = {path.stem: list(problems_of(path)) for path in problem_sets}
    overlaps = {name: Overlap(problems, size) for name, problems in asked.items()}
    leaks: dict[str, dict[str, Any]] = {name: {"rows": 0, "examples": [], "hit": set()} for name in overlaps}
    kinds = ("unclosed_think", "missing_boxed", "empty_answer", "exact_duplicate", "near_duplicate")
    counted: dict[str, dict[str, Any]] = {kind: {"rows": 0, "examples": []} for kind in kinds}
    seen: dict[int, str] = {}
    near, labels = NearDuplicates(), []
    for number, (label, question, answer) in enumerate(rows):
        labels.append(label)
        if answer.count(THINK) > answer.count(END_THINK):
            _count(counted["unclosed_think"], label)
        if r"\boxed" not in answer:
            _count(counted["missing_boxed"], label)
        if not answer.strip():
            _count(counted["empty_answer"], label)
        found = words(question)
        key = fingerprint(found)
        if key in seen:
            _count(counted["exact_duplicate"], [label, seen[key]])
        else:
            seen[key] = label
            if (other := near.add(number, found)) is not None:
                _count(counted["near_duplicate"], [label, labels[other]])
        for name, overlap in overlaps.items():
            if hits := overlap.find(found):
                _count(leaks[name], [label, hits[0]])
                leaks[name]["hit"].update(hits)
    for name, leak in leaks.items():
        leak |= {"problems": overlaps[name].problems, "problems_hit": len(leak.pop("hit"))}
        leak["without_a_question"] = sum(not problem.strip() for _, problem in asked[name])
    return {**counted, "overlap": leaks}


def _count(entry: dict[str, Any], example: Any) -> None:
    entry["rows"] += 1
    if len(entry["examples"]) < EXAMPLES:
        entry["examples"].append(example)


def _same_selection(manifest: dict[str, Any], chosen: LeftOut | None, where: Path) -> None:
    found, wanted = chosen.sha256 if chosen else None, manifest.get("left_out")
    if found != wanted:
        raise Problem(
            "not the selection that the dataset was made with",
            where=where,
            found=f"sha256 {found}" if found else "none",
            wanted=f"sha256 {wanted}" if wanted else "none",
            fix="give --left-out as preprocess_data.py had it",
        )


def _same_shards(manifest: dict[str, Any], shards: list[Path], where: Path) -> None:
    found, wanted = [path.name for path in shards], [entry["name"] for entry in manifest["inputs"]]
    if sorted(found) != sorted(wanted):
        raise Problem(
            "these are not the files that the dataset was made of",
            where=where,
            found=" ".join(found),
            wanted=" ".join(wanted),
            fix="give all its shards to --input",
        )
