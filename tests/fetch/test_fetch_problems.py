"""Files of problems as problem sets: formats, names, places, column maps, and what is refused with file, row and column."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from places import SCRIPTS
from wheels import make_wheel

from distillery import json_files
from distillery.fetch import openr1, problem_columns, problem_file, problem_rows
from distillery.fetch.problem_file import Recipe
from distillery.generate import prompts
from distillery.problems import Problem
from distillery.tokenize.parts import CSV_NULL
from distillery.tokenize.silent_losses import BLANK_QUESTION

ROWS = [
    {"unique_id": "t/1.json", "problem": "1+1?", "answer": "2", "subject": "Algebra", "level": 1},
    {"unique_id": "t/2.json", "problem": "2+2?", "answer": "4", "subject": "Number Theory", "level": 2},
]
COLUMNS = {"uuid": "unique_id", "problem_type": "subject", "level": "level"}
FORMATS = ("parquet", "arrow", "csv", "json", "jsonl")


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    table = pa.Table.from_pylist(rows)
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".arrow":
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    else:
        path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
    return path


def recipe(columns: dict[str, Any] | None = None, **how: Any) -> Recipe:
    return Recipe("sums", problem_columns.parse(columns or {}), **how)


def imported(path: Path, columns: dict[str, Any] | None = None, **how: Any) -> tuple[list[dict], dict]:
    return problem_file.read({path.name: path}, recipe(columns, **how))


def command(*words: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(SCRIPTS / "import_problems.py"), *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300)


def test_the_same_rows_in_every_format_are_one_problem_set(tmp_path):
    values = [
        [(row.values["problem"], str(row.values["answer"]), row.values["level"]) for row in rows]
        for form in FORMATS
        for path in [write(tmp_path / f"x.{form}", ROWS)]
        for rows in [list(problem_rows.read({path.name: path}, None, ["problem", "answer", "level"]))]
    ]
    assert values == [[("1+1?", "2", 1), ("2+2?", "4", 2)]] * len(FORMATS)
    (tmp_path / "x.txt").write_text("1+1?\n2+2?\n")
    said = {"problem": "text", "answer": {"constant": "2"}}
    made, _ = imported(tmp_path / "x.txt", said)
    assert [(row["problem"], row["answer"]) for row in made] == [("1+1?", "2"), ("2+2?", "2")]


def test_the_command_takes_files_of_any_name_and_says_what_became_of_their_rows(tmp_path):
    odd = write(tmp_path / '算题 (1) "it\'s".jsonl', ROWS)
    more = write(tmp_path / "b.jsonl", [{**ROWS[0], "unique_id": "t/3.json", "problem": " "}])
    output = tmp_path / "p.parquet"
    done = command(
        "--input", odd, more, "--name", "math", "--columns", json.dumps(COLUMNS), "--output", output
    )
    assert done.returncode == 0, done.stderr
    assert "3 problems of 2 families; noted: a question of white space alone (1)" in done.stdout
    assert pq.read_table(output).to_pylist()[1] == {
        "uuid": "t/2.json",
        "problem": "2+2?",
        "answer": "4",
        "problem_type": "Number Theory",
        "level": "2",
    }
    manifest = json_files.read(tmp_path / "p.parquet.manifest.json")
    assert manifest["noted"] == {BLANK_QUESTION: {"count": 1, "rows": ["b.jsonl, row 0"]}}
    assert [one["name"] for one in manifest["files"]] == [odd.name, more.name]


def test_problems_come_out_of_wheels_and_nested_objects(tmp_path):
    entries = {"P_2": {"text": "2+2?", "answer": "4"}, "P_1": {"text": "1+1?", "answer": 2}}
    made = make_wheel(
        tmp_path, "sums", {"sums/v0.json": json.dumps({"data": {"problems": entries}}).encode()}
    )
    with problem_rows.opened([made], ["sums/*.json"]) as found:
        said = {"uuid": "key", "problem": "text"}
        rows, manifest = problem_file.read(found, recipe(said, records="data.problems"))
        assert [(row["uuid"], row["answer"]) for row in rows] == [("P_1", "2"), ("P_2", "4")]
        assert manifest["rows"] == 2
        with pytest.raises(Problem, match=r"(?s)a key is missing.*sums/v0.json, data.*wanted: +problem\b"):
            problem_file.read(found, recipe(said, records="data.problem"))
    with (
        pytest.raises(Problem, match=r"(?s)no such file.*sums/v0.json.*wanted: +\*\.csv"),
        problem_rows.opened([made], ["*.csv"]),
    ):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_dotted_column_leads_into_objects_of_any_file(form, tmp_path):
    rows = [
        {"asked": {"text": "1+1?"}, "meta": {"gold": [2]}},
        {"asked": {"text": "2+2?"}, "meta": {"gold": [4]}},
    ]
    path = write(tmp_path / f"x.{form}", rows)
    made, _ = imported(path, {"problem": "asked.text", "answer": "meta.gold"})
    assert [(row["problem"], row["answer"]) for row in made] == [("1+1?", "2"), ("2+2?", "4")]
    with pytest.raises(Problem, match=r"x\.\w+, row 0, column meta.answer: None: nothing"):
        imported(path, {"problem": "asked.text", "answer": "meta.answer"})


@pytest.mark.slow
def test_all_bad_golds_are_listed_with_file_row_and_column_and_can_be_left_out(tmp_path):
    answers = ["2", "", None, {"a": 1}, "4", r"\frac{1}{2"]
    rows = [{"q": f"{number}?", "gold": answer} for number, answer in enumerate(answers)]
    path, said = tmp_path / "x.jsonl", {"problem": "q", "answer": "gold"}
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with pytest.raises(Problem, match="4 gold answers cannot be read") as caught:
        imported(path, said)
    for words in (
        "x.jsonl, row 1, column gold: ''",
        "row 2, column gold: None: nothing",
        "an object",
        "row 5",
        "leave_out",
    ):
        assert words in str(caught.value)
    made, manifest = imported(path, said, leave_out=True)
    assert [row["answer"] for row in made] == ["2", "4"]
    assert (
        manifest["unscorable"]["count"] == 4
        and manifest["unscorable"]["rows"][0]["where"] == "x.jsonl, row 1"
    )
    assert manifest["self_check"] == {"readable": 2, "right": 2, "math_verify": 2, "kinds": {"number": 2}}


@pytest.mark.slow
def test_empty_questions_are_noted_or_with_strict_left_out(tmp_path):
    questions = ["1+1?", " \n", None, None]
    rows = [{"problem": question, "answer": number} for number, question in enumerate(questions)]
    path = write(tmp_path / "x.csv", rows)
    made, manifest = imported(path)
    assert [row["problem"] for row in made] == ["1+1?", " \n", "", ""] and manifest["rejected"] == {}
    places = {"a question of white space alone": [1], "an empty question": [2, 3]}
    counted = {
        note: {"count": len(numbers), "rows": [f"x.csv, row {number}" for number in numbers]}
        for note, numbers in places.items()
    }
    assert manifest["noted"] == counted
    # whoever asks takes them as they are: nothing stops a run for them when training is done
    openr1.write(made, openr1.PROBLEM_SCHEMA, tmp_path / "p.parquet")
    assert [one.text for one in prompts.read(tmp_path / "p.parquet")] == ["1+1?", " \n", "", ""]
    made, manifest = imported(path, strict=True)
    assert [row["problem"] for row in made] == ["1+1?"] and manifest["rejected"] == counted


@pytest.mark.slow
def test_cells_that_spell_null_are_noted_or_with_strict_left_out(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("problem,answer,kind\n1+1?,2,a\nNA,4,b\n3+3?,6,None\n")
    made, manifest = imported(path, {"problem_type": "kind"})
    assert [(row["problem"], row["problem_type"]) for row in made] == [
        ("1+1?", "a"),
        ("", "b"),
        ("3+3?", "sums"),
    ]
    assert {note: one["rows"] for note, one in manifest["noted"].items()} == {
        CSV_NULL: ["x.csv, row 1", "x.csv, row 2"],
        "an empty question": ["x.csv, row 1"],
    }
    made, manifest = imported(path, {"problem_type": "kind"}, strict=True)
    assert len(made) == 1 and manifest["rejected"].keys() == {CSV_NULL, "an empty question"}
    path.write_text("problem,answer\n1+1?,nan\n")
    with pytest.raises(Problem, match=r"x.csv, row 0, column answer: 'nan': a CSV cell that spells null"):
        imported(path)


def test_filters_limits_and_samples():
    rows = [problem_rows.Row(f"x, row {n}", {"level": n % 5, "kind": "ab"[n % 2]}) for n in range(20)]
    numbers = [rows.index(row) for row in problem_rows.filtered(rows, {"level": [4, "3"], "kind": "a"})]
    assert numbers == [4, 8, 14, 18]
    drawn = problem_rows.taken(rows, None, {"rows": 6, "seed": 1})
    assert drawn == problem_rows.taken(rows, None, {"rows": 6, "seed": 1}) == sorted(drawn, key=rows.index)
    assert len(set(map(rows.index, drawn))) == 6 and drawn != problem_rows.taken(
        rows, None, {"rows": 6, "seed": 2}
    )
    # a larger sample of the same seed holds the smaller one
    assert set(map(rows.index, drawn)) < set(
        map(rows.index, problem_rows.taken(rows, None, {"rows": 9, "seed": 1}))
    )
    assert set(map(rows.index, problem_rows.taken(rows, 7, {"rows": 7, "seed": 1}))) == set(range(7))
    with pytest.raises(Problem, match=r"(?s)leaves no row.*column level.*found: +0, 1, 2, 3, 4.*wanted: +7"):
        problem_rows.filtered(rows, {"level": 7})
    with pytest.raises(Problem, match="(?s)too few rows.*found: +7.*wanted: +8"):
        problem_rows.taken(rows, 7, {"rows": 8, "seed": 1})


@pytest.mark.slow
def test_what_else_is_wrong_with_a_file_names_the_place(tmp_path):
    path = write(tmp_path / "x.jsonl", [{"question": "1+1?", "answer": 2}])
    (row,), _ = imported(path, {"problem": "question"})
    assert row["answer"] == "2" and row["problem_type"] == "sums" and len(row["uuid"]) == 36
    with pytest.raises(Problem, match=r"(?s)needs the column problem.*x\.jsonl.*found: +question, answer"):
        imported(path)
    with pytest.raises(Problem, match="(?s)column lvl"):
        imported(path, {"problem": "question"}, filter={"lvl": 3})
    path.write_text(path.read_text() * 2)
    with pytest.raises(Problem, match="(?s)occurs twice.*row 0 and x.jsonl, row 1"):
        imported(path, {"problem": "question"})
    assert len(imported(path, {"problem": "question"}, rows=1)[0]) == 1
    path.write_text('{"problem": ["a"], "answer": 2}\n')
    with pytest.raises(Problem, match=r"(?s)cannot be asked.*x\.jsonl, row 0, column problem.*a list"):
        imported(path)
    path.write_text("<html>")
    with pytest.raises(Problem, match="cannot be read"):
        imported(path)
    other = write(tmp_path / "y.csv", ROWS)
    with pytest.raises(Problem, match="several formats"), problem_rows.opened([path, other], []):
        pass
    with pytest.raises(Problem, match="no such file"), problem_rows.opened([tmp_path / "z.csv"], []):
        pass
