"""Rows of training data that are held back to be asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from distillery.fetch import problem_columns, problem_file
from distillery.fetch.problem_file import Recipe

EVERY = {"one_in": 1, "columns": ["problem"], "alike": 1}


def imported(
    path: Path, rows: list[dict[str, str]], most: int | None = None
) -> tuple[list[dict], dict[str, Any]]:
    """The problem set that holds all of the rows back."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return problem_file.read(
        {path.name: path}, Recipe("sums", problem_columns.parse({}), hold_out=EVERY, rows=most)
    )


def test_questions_held_out_of_rows_to_learn_from_are_asked_once(tmp_path):
    path = tmp_path / "x.jsonl"
    rows = [{"problem": one, "answer": "2"} for one in ("1+1?", "2+0?", "1+1?", "", "", "1+1?")]
    made, manifest = imported(path, rows)
    assert [row["problem"] for row in made] == ["1+1?", "2+0?", "", ""]
    assert manifest["rejected"] == {
        problem_file.AGAIN: {"count": 2, "rows": ["x.jsonl, row 2", "x.jsonl, row 5"]}
    }
    assert manifest["rows"] == 6 and manifest["problems"] == 4
    # so many are wanted of different ones
    assert [row["problem"] for row in imported(path, rows, 3)[0]] == ["1+1?", "2+0?", ""]
    for number, row in enumerate(rows):
        row["uuid"] = f"u{number % 5}"
    made, manifest = imported(path, rows)
    assert [row["uuid"] for row in made] == ["u0", "u1", "u2", "u3", "u4"]
    assert manifest["rejected"][problem_file.AGAIN]["rows"] == ["x.jsonl, row 5"]
