"""Datasets of a mix are compared with one another: a later row that repeats a kept one of an earlier dataset is left out."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import select_rows

from distillery import digests, json_files
from distillery.problems import Problem

BOTH = ["--handler-name", "auto", "--exact-duplicates", "--near-duplicates"]
LONG = "So so so how many wheels has a tricycle that stands in the yard of the old red house by the {} ?"


def written(path: Path, *questions: str) -> Path:
    path.parent.mkdir()
    rows = ({"question": one, "answer": "I see. \\boxed{4}" if one != "bare" else "4"} for one in questions)
    path.write_text("".join(f"{json.dumps(one)}\n" for one in rows))
    return path


def select(rows: Path, *flags: object) -> tuple[dict, list[dict], list[str]]:
    """(card, rows left out, names of the questions that are kept); files lie beside the rows."""
    out = rows.parent
    line = ["--input", rows, *BOTH, *flags, "--output", out / "left.jsonl", "--card", out / "card.json"]
    line += ["--questions", out / "questions.parquet"]
    select_rows.main(select_rows.parser().parse_args(list(map(str, line))))
    left = [json.loads(line) for line in (out / "left.jsonl").read_text().splitlines()][1:]
    kept = pq.read_table(out / "questions.parquet").column("row").to_pylist()
    return json_files.read(out / "card.json"), left, kept


@pytest.fixture
def first(tmp_path) -> Path:
    rows = written(tmp_path / "first/a.jsonl", "What is two plus two?", LONG.format("river"), "bare")
    _, left, kept = select(rows, "--boxed-answer")
    assert [one["row"] for one in left] == [2] and kept == ["first/a.jsonl:0", "first/a.jsonl:1"]
    return rows.parent / "questions.parquet"


def test_rows_that_repeat_those_of_an_earlier_dataset_are_left_out(first, tmp_path):
    later = written(
        tmp_path / "later/a.jsonl",
        "Which month has no letter r in it?",
        "what IS two  plus two ?",
        LONG.format("lake"),
        "bare",  # left out of the first dataset: nothing is repeated
        "which month has NO letter r in it ?",
    )
    card, left, kept = select(later, "--earlier", first)
    assert [(one["row"], one["filter"], one["detail"]) for one in left] == [
        (1, "exact_duplicates", "as first/a.jsonl:0"),
        (2, "near_duplicates", "as first/a.jsonl:1"),
        (4, "exact_duplicates", "as a.jsonl:0"),
    ]
    assert [(one["filter"], one["rows"]) for one in card["left_out"]] == [
        ("exact_duplicates", 2),
        ("near_duplicates", 1),
    ]
    assert kept == ["later/a.jsonl:0", "later/a.jsonl:3"]
    # the same again, byte by byte
    before = (later.parent / "questions.parquet").read_bytes()
    select(later, "--earlier", first)
    assert (later.parent / "questions.parquet").read_bytes() == before
    # a third is held against both
    third = written(tmp_path / "third/b.jsonl", "Bare?", "Two plus two is what?", "bare", LONG.format("sea"))
    _, left, _ = select(third, "--earlier", first, later.parent / "questions.parquet")
    assert [one["detail"] for one in left] == ["as later/a.jsonl:3", "as first/a.jsonl:1"]


def test_questions_of_an_earlier_dataset_are_held_against_their_digest(first, tmp_path):
    later = written(tmp_path / "later/a.jsonl", "Which month has no letter r in it?")
    digests.beside(first).write_text(f"{'0' * 64}  {first.name}\n")
    with pytest.raises(Problem, match=r"questions\.parquet"):
        select(later, "--earlier", first)
    assert not (later.parent / "left.jsonl").exists()
