"""Rows that are asked about are not learnt: one rule, by a row's words, for the dataset and the problem set of the same files."""

from __future__ import annotations

import json
from pathlib import Path

import preprocess_data
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from places import ROOT

from distillery import json_files
from distillery.fetch import problem_columns, problem_file
from distillery.fetch.problem_file import Recipe
from distillery.problems import Problem
from distillery.tokenize import held_rows, merge, quality_card, similarity

SETTINGS = {"one_in": 4, "columns": ["question"], "alike": 1}
MODEL = ROOT / "config/examples/data/model"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    rows = [
        {"question": f"What is {n} plus {n + 1}, my friend?", "answer": f"#### {2 * n + 1}"}
        for n in range(40)
    ]
    rows += [{**row, "question": row["question"].upper().replace(",", " ,")} for row in rows[:8]]
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path, part in zip(paths, (rows[:30], rows[30:]), strict=True):
        path.write_text("".join(f"{json.dumps(row)}\n" for row in part))
    return paths


def test_what_is_asked_is_what_was_not_learnt(files: list[Path], tmp_path: Path) -> None:
    flags = ["--tokenizer-name-or-path", str(MODEL), "--handler-name", "auto", "--prompt-type", "qwen"]
    flags += ["--hold-out", json.dumps(SETTINGS)]
    for path in files:
        more = ["--input", str(path), "--output-prefix", str(tmp_path / path.stem)]
        preprocess_data.main(preprocess_data.parser().parse_args([*flags, *more]))
    made = merge.merge([tmp_path / "a", tmp_path / "b"], tmp_path / "d")
    held = made["dropped"]["held_out"]["count"]
    assert made["rows"] == 48 and 4 < held < 20 and made["kept"] == made["documents"] == 48 - held
    columns = {"problem": "question", "answer": {"after": "####"}}
    asked = Recipe("d", problem_columns.parse(columns), hold_out=SETTINGS)
    # rows that differ in case and signs are one question: each of its tellings is asked, none is learnt
    problems, _ = problem_file.read({path.name: path for path in files}, asked)
    places = {(entry["file"], entry["row"]) for entry in made["dropped"]["held_out"]["rows"]}
    lines = {
        path.name: [json.loads(line)["question"] for line in path.read_text().splitlines()] for path in files
    }
    assert {lines[file][row] for file, row in places} == {row["problem"] for row in problems}
    sides = {held_rows.of(SETTINGS).holds({"question": text.upper()}) for text in lines["a.jsonl"][:1]}
    assert sides == {held_rows.of(SETTINGS).holds({"question": lines["a.jsonl"][0]})}
    problem_file.openr1.write(problems, problem_file.openr1.PROBLEM_SCHEMA, tmp_path / "held.parquet")
    card = quality_card.card(tmp_path / "d", files, [tmp_path / "held.parquet"], None)
    assert card["overlap"]["held"]["problems"] == held and card["dropped"]["held_out"] == held
    # "what is n plus m, my friend?" has other stretches of words for each n and m
    assert card["overlap"]["held"]["rows"] == 0
    shard = tmp_path / "s.jsonl"
    shard.write_text(
        "".join(f"{json.dumps({'problem': row, 'question': row})}\n" for row in lines["a.jsonl"])
    )
    named = {"one_in": 4, "columns": ["problem"], "alike": 1}
    assert similarity.contamination(shard, tmp_path / "held.parquet", named)["contained"] == 0
    assert similarity.contamination(shard, tmp_path / "held.parquet")["contained"] > 0
    assert json_files.read(tmp_path / "d_manifest.json")["hold_out"] == SETTINGS


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_dotted_column_leads_into_objects_on_both_sides(tmp_path: Path, kind: str) -> None:
    rows = [
        {"question": f"{n}?", "answer": f"#### {n}", "meta": {"topic": f"about {n // 2}"}} for n in range(40)
    ]
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    settings = {"one_in": 4, "columns": ["meta.topic"], "alike": 1}
    flags = ["--tokenizer-name-or-path", str(MODEL), "--handler-name", "auto", "--prompt-type", "qwen"]
    flags += [
        "--hold-out",
        json.dumps(settings),
        "--input",
        str(path),
        "--output-prefix",
        str(tmp_path / "d"),
    ]
    preprocess_data.main(preprocess_data.parser().parse_args(flags))
    dropped = json_files.read(tmp_path / "d_manifest.json")["dropped"]["held_out"]
    columns = problem_columns.parse({"problem": "question", "answer": {"after": "####"}})
    problems, _ = problem_file.read({path.name: path}, Recipe("d", columns, hold_out=settings))
    asked = {int(row["problem"][:-1]) for row in problems}
    # rows of one topic are on one side
    assert (
        asked == {entry["row"] for entry in dropped["rows"]} == {n ^ 1 for n in asked}
        and 2 <= len(asked) < 30
    )
    card = quality_card.card(tmp_path / "d", [path], [], None)
    assert card["dropped"]["held_out"] == len(asked)
    with pytest.raises(Problem, match=r"a column is not there(?s:.*)column other\.topic"):
        again = [word.replace("meta.topic", "other.topic") for word in flags]
        preprocess_data.main(preprocess_data.parser().parse_args(again))
