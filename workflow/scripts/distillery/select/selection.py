"""Rows of a dataset that are not learnt, by the filters that a configuration asks for: two passes over its files, in their order.

The first pass asks the filters that look at a row alone, and judges answers; the second compares what is left, also with what
selections from earlier datasets of a mix kept. The files written are a line for each row that is left out, a card with the counts
and a few samples of each filter, and the kept rows' questions.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from distillery import digests, dotted, files
from distillery.evaluate import golds
from distillery.evaluate.judge import Question, judge
from distillery.problems import Problem
from distillery.select import kept_questions, recorded_answers
from distillery.select.filters import RowFilters, Wanted
from distillery.select.learnable_rows import SHOWN, Left, Rows
from distillery.tokenize import (
    left_out,
    preprocess_flags,
    readers,
    row_spans,
)
from distillery.tokenize.conversation import Conversation
from distillery.tokenize.documents import DocumentMaker, Rules
from distillery.tokenize.encoding import Encoder
from distillery.tokenize.similarity import NearDuplicates, Overlap, fingerprint, problems_of, words

SAMPLES = 5  # of a filter
RIGHT = "right_answer"


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Write what select_rows.py's flags ask for; returns the card.

    Raises:
        Problem: a file that cannot be read, a column that a filter needs and is not there, or no row that is left.
    """
    sources = [source for path in args.input for source in readers.sources(path)]
    for path in (*(source.path for source in sources), *args.problems):
        digests.check_file(path)
    preprocess_flags.recognise(args, sources[0])
    said = {one.name: getattr(args, one.name) for one in fields(Wanted)}
    wanted = Wanted(**said | {"scripts": tuple(args.scripts)})
    overlaps = {}
    if wanted.overlap_words:
        overlaps = {path.stem: Overlap(problems_of(path), wanted.overlap_words) for path in args.problems}
    filters = RowFilters(wanted, overlaps, _length(args) if wanted.counts_tokens else None)
    rows = Rows(args, wanted, sources)
    left = Left({})
    with _timed("each row alone", left):
        _alone(rows, filters, left, args.workers, args.cpu_seconds)
    kept: list[tuple[str, str]] = []
    if wanted.compares:
        with _timed("rows with one another", left):
            kept = _compared(rows, wanted, left, args.earlier)
    card = _card(wanted, left)
    if not card["kept"]:
        raise _nothing(args, card)
    inputs = {source.path.name: files.sha256(source.path) for source in sources}
    left_out.write(args.output, inputs, (left.rows[place] for place in sorted(left.rows)))
    digests.write_json(args.card, card)
    if args.questions:
        kept_questions.write(args.questions, kept)
    return card


def _length(args: argparse.Namespace) -> Callable[[Conversation], int]:
    recipe = row_spans.Recipe(args.tokenizer_name_or_path, args.handler_name, args.prompt_type)
    renderer = recipe.renderer()
    rules = Rules(
        append_eod=args.append_eod,
        enable_thinking={"true": True, "false": False, "none": None}[args.enable_thinking],
        special_tokens_in_text=args.special_tokens_in_text,
    )
    maker = DocumentMaker(renderer, Encoder(renderer.tokenizer), rules)
    return lambda made: len(maker.make(made).input_ids)


def _alone(rows: Rows, filters: RowFilters, left: Left, workers: int, cpu_seconds: float) -> None:
    waiting: list[tuple[int, dict[str, Any], str]] = []

    def questions() -> Iterator[Question]:
        for place, name, row in rows(left):
            named = name | {"question": row.question[:SHOWN]}
            if fault := filters.fault(row):
                left.out(place, named, *fault)
            elif filters.wanted.right_answer:
                said = recorded_answers.verdict(row.columns, row.answer)
                if said is False:
                    left.out(place, named, RIGHT, f"wrong, as {recorded_answers.VERIFIED} says")
                elif said is None:
                    try:
                        gold = golds.read(dotted.value(row.columns, filters.wanted.answer_column))
                    except golds.Unreadable as error:
                        left.out(place, named, RIGHT, f"a gold that cannot be read: {error}")
                        continue
                    waiting.append((place, named, gold))
                    yield Question(gold, row.answer, name=f"{name['file']}:{name['row']}")

    for number, verdict in judge(questions(), workers, cpu_seconds):
        place, named, gold = waiting[number]
        if not verdict.strict:
            left.out(place, named, RIGHT, f"{verdict.boxed or 'no answer'}, the gold is {gold}")
    print(f"{len(waiting)} answers were judged", file=sys.stderr)


def _compared(rows: Rows, wanted: Wanted, left: Left, earlier: Sequence[Path]) -> list[tuple[str, str]]:
    """Leave out what repeats a row before it; returns (name, words of the question) of what is kept, where they are compared."""
    near, seen, names = NearDuplicates(), dict[int, int](), dict[int, str]()
    of_source: Counter[str] = Counter()
    kept: list[tuple[str, str]] = []
    folders = {source.path.name: source.path.parent.name for source in rows.sources}
    before = (row for path in earlier for row in kept_questions.each(path))
    for number, (named, found) in enumerate(before, 1):
        names[-number] = named  # own rows count from 0
        seen.setdefault(fingerprint(found), -number)
        if wanted.near_duplicates:
            near.add(-number, found)
    for place, name, row in rows():
        if place in left.rows:
            continue
        fault = None
        found = words(row.question) if wanted.exact_duplicates or wanted.near_duplicates else []
        if wanted.exact_duplicates and (other := seen.setdefault(fingerprint(found), place)) != place:
            fault = "exact_duplicates", f"as {names[other]}"
        elif wanted.near_duplicates and (other := near.add(place, found)) is not None:
            fault = "near_duplicates", f"as {names[other]}"
        elif wanted.max_per_source is not None:
            source = str(dotted.value(row.columns, wanted.source_column))
            of_source[source] += 1
            if of_source[source] > wanted.max_per_source:
                fault = "max_per_source", source
        if fault:
            left.out(place, name | {"question": row.question[:SHOWN]}, *fault)
        names[place] = f"{name['file']}:{name['row']}"
        if found and not fault:
            kept.append((f"{folders[name['file']]}/{names[place]}", " ".join(found)))
    return kept


def _card(wanted: Wanted, left: Left) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {name: {"rows": 0, "samples": []} for name in wanted.names}
    for place in sorted(left.rows):
        one = left.rows[place]
        kind = kinds[one["filter"]]
        kind["rows"] += 1
        if len(kind["samples"]) < SAMPLES:
            kind["samples"].append({key: value for key, value in one.items() if key != "filter"})
    return {
        "settings": {key: value for key, value in asdict(wanted).items() if value not in (None, False, ())},
        "rows": left.read,
        "unusable": left.unusable,
        "held_out": left.held_out,
        "kept": left.read - left.unusable - left.held_out - len(left.rows),
        "left_out": [{"filter": name, **kind} for name, kind in kinds.items()],
    }


@contextmanager
def _timed(what: str, left: Left) -> Iterator[None]:
    """Say at the end how fast it was; no file holds that."""
    begin = time.perf_counter()
    yield
    seconds = time.perf_counter() - begin
    print(f"{what}: {left.read} rows in {seconds:.1f} s, {left.read / seconds:.0f} a second", file=sys.stderr)


def _nothing(args: argparse.Namespace, card: dict[str, Any]) -> Problem:
    said = ", ".join(f"{one['rows']} by {one['filter']}" for one in card["left_out"])
    return Problem(
        "no row is left to learn",
        where=", ".join(path.name for path in args.input),
        found=f"of {card['rows']} rows {card['unusable']} cannot be used, {card['held_out']} are held out; left out are {said}",
        wanted="at least one row",
        fix="ask for less under select, or see to the columns that the filters read",
    )
