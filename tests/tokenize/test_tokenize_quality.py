"""The quality card counts what is there."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import preprocess_data
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tokenize_quality as command
from hypothesis import given, settings
from hypothesis import strategies as st
from places import FIXTURES
from tokenize_runs import asked, merge, run, shard

from distillery import json_files
from distillery.problems import Problem
from distillery.tokenize import quality_card
from distillery.tokenize.similarity import NearDuplicates, Overlap, contamination, ngrams, words

FULL = FIXTURES / "tokenize" / "tokenizers" / "full"
LONG = (
    "A train leaves the station at noon and travels north at sixty miles an hour until it meets another one"
)
QUESTIONS = {
    "plain": ("How many of the seven sheep are left in the field tonight?", "<think>a</think> \\boxed{1}"),
    "open": ("What is the smallest odd number above ten?", "<think>never ends"),
    "twice": ("what is the smallest  ODD number above ten?", "\\boxed{11}"),
    "near": (LONG + ". When?", "\\boxed{2}"),
    "nearly": (LONG + ". Where?", ""),
    "leak": ("Tell me: how many of the seven sheep are left in the barn?", "\\boxed{3}"),
}


def dataset(directory: Path) -> tuple[Path, Path, Path]:
    rows = [
        {"uuid": name, "conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}]}
        for name, (q, a) in QUESTIONS.items()
    ]
    pq.write_table(
        pa.Table.from_pylist([*rows, {"uuid": "bad", "conversations": []}]), directory / "a.parquet"
    )
    problems = [
        {"uuid": "p1", "problem": "Now how many of the seven sheep are left in total"},
        {"uuid": "p2", "problem": "1 + 1"},
    ]
    pq.write_table(pa.Table.from_pylist(problems), directory / "held.parquet")
    flags = [
        "--input",
        directory / "a.parquet",
        "--output-prefix",
        directory / "d",
        "--tokenizer-name-or-path",
        FULL,
    ]
    flags += ["--handler-name", "SharegptStyleInstructionHandler", "--prompt-type", "qwen"]
    preprocess_data.main(preprocess_data.parser().parse_args(list(map(str, flags))))
    return directory / "d", directory / "a.parquet", directory / "held.parquet"


def test_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prefix, shard, problems = dataset(tmp_path)
    flags = ["--data-prefix", prefix, "--input", shard, "--problems", problems, "--seq-length", "90"]
    command.main(command.parser().parse_args([*map(str, flags), "--output", str(tmp_path / "card.json")]))
    card = json_files.read(tmp_path / "card.json")
    assert (card["rows"], card["kept"], card["rejected"]["count"]) == (7, 6, 1)
    assert card["roles"] == {"user": 6, "assistant": 6}
    assert card["unclosed_think"] == {"rows": 1, "examples": ["open"]}
    assert card["missing_boxed"] == {"rows": 2, "examples": ["open", "nearly"]}
    assert card["empty_answer"] == {"rows": 1, "examples": ["nearly"]}
    assert card["exact_duplicate"] == {"rows": 1, "examples": [["twice", "open"]]}
    assert card["near_duplicate"] == {"rows": 1, "examples": [["nearly", "near"]]}
    leaks = [["plain", "p1"], ["leak", "p1"]]
    held = {"rows": 2, "problems": 2, "problems_hit": 1, "without_a_question": 0, "examples": leaks}
    assert card["overlap"] == {"held": held}
    lengths = card["lengths"]
    assert sum(bin_["rows"] for bin_ in lengths["histogram"]) == 6
    assert lengths["cut_rows"] == round(lengths["cut_share"] * 6) > 0
    assert "held: 2 rows overlap with 1 of 2 problems" in capsys.readouterr().out


def test_shards_that_were_cut_are_read_as_far_as_they_were(tmp_path: Path) -> None:
    parts = []
    for name in "ab":
        source = shard(
            tmp_path / f"{name}.parquet", [asked(f"{name} {n} of ten words", "x") for n in range(4)]
        )
        parts.append(tmp_path / name)
        run(source, parts[-1], "--max-samples", "3")
    merge(parts, tmp_path / "m")
    card = quality_card.card(tmp_path / "m", [tmp_path / "a.parquet", tmp_path / "b.parquet"], [], None)
    assert card["rows"] == 6 == card["missing_boxed"]["rows"]
    assert card["missing_boxed"]["examples"] == ["u0", "u1", "u2"] * 2


def test_other_shards_are_refused(tmp_path: Path) -> None:
    prefix, _, problems = dataset(tmp_path)
    with pytest.raises(Problem, match=r"(?s)found:  held\.parquet.*wanted: a\.parquet"):
        quality_card.card(prefix, [problems], [], None)
    with pytest.raises(Problem, match="manifest"):
        quality_card.card(tmp_path / "none", [problems], [], None)


def test_lengths() -> None:
    measured = quality_card.measure_lengths(np.array([1, 63, 64, 128, 1000]), 100)
    assert [(b["from"], b["below"], b["rows"]) for b in measured["histogram"]] == [
        (0, 64, 2),
        (64, 128, 1),
        (128, 256, 1),
        (256, 512, 0),
        (512, 1024, 1),
    ]
    assert (measured["cut_rows"], measured["cut_share"], measured["cut_tokens"]) == (2, 0.4, 28 + 900)
    assert (measured["p50"], measured["max"]) == (64, 1000)


letters = st.lists(st.sampled_from("abc"), min_size=4, max_size=40)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(letters, min_size=2, max_size=8))
def test_near_duplicates_are_those_that_a_comparison_with_all_finds(texts: list[list[str]]) -> None:
    near, sets = NearDuplicates(), [ngrams(text, 4) for text in texts]
    firsts: list[int] = []
    for number, (text, mine) in enumerate(zip(texts, sets, strict=True)):
        alike = [one for one in firsts if len(mine & sets[one]) >= 0.8 * len(mine | sets[one])]
        assert near.add(number, text) == (alike[0] if alike else None)
        firsts += [] if alike else [number]
    assert near.add(len(texts), texts[0]) == 0


def test_texts_of_one_form_are_compared_with_few_others(monkeypatch) -> None:
    """Questions of a generator share most of their words: each was held against all, which took twelve minutes of 93,733 rows."""
    random, texts = Random(0), []
    for _ in range(300):
        numbers = [str(random.randrange(10, 99)) for _ in range(4)]
        form = "a shop sells {} pens for {} each , then {} books for {} ; how much does it take in all day ?"
        texts.append(form.format(*numbers).split())
    near, compared = NearDuplicates(), []
    candidates = near._candidates
    monkeypatch.setattr(
        near, "_candidates", lambda *words: compared.append(candidates(*words)) or compared[-1]
    )
    found = [near.add(number, text) for number, text in enumerate(texts)]
    assert set(found) == {None}
    assert sum(map(len, compared)) < 0.05 * len(texts) ** 2 / 2


def test_overlap_needs_eight_words_in_a_row_or_the_whole_problem() -> None:
    overlap = Overlap([("long", "one two three four five six seven eight nine"), ("short", "12 + 30 ?")])
    assert overlap.find(words("zero two THREE four, five")) == []
    assert overlap.find(words("x one two three four five six seven y")) == []
    assert overlap.find(words("x two three four five six seven eight nine y")) == ["long"]
    assert overlap.find(words("12+30?")) == ["short"]
    assert overlap.find(words("30 + 12?")) == []


def test_a_problem_is_held_where_all_its_words_and_signs_occur(tmp_path: Path) -> None:
    long = "one two three four five six seven eight nine ten"
    seen = [f"Zero! {long} eleven", "What is 2 + 3?", None]
    asked = [long, f"{long} twelve", "what is  2 + 3 ?", "What is 2 - 3?", ""]
    for name, texts in (("shard", seen), ("problems", asked), ("plain", [])):
        column = "text" if name == "plain" else "problem"
        pq.write_table(pa.table({column: pa.array(texts, pa.string())}), tmp_path / f"{name}.parquet")
    problems = tmp_path / "problems.parquet"
    assert contamination(tmp_path / "shard.parquet", problems) == {"problems": 5, "contained": 2}
    assert contamination(tmp_path / "plain.parquet", problems) == {"problems": 0, "contained": 0}
