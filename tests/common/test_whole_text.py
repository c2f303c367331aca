"""Halves of characters, as JSON escapes and command lines leave them: on every way in they end in a place and a cure."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import here
from hypothesis import given
from hypothesis import strategies as st
from tokenize_runs import FULL

from distillery import json_files, whole_text
from distillery.evaluate import overrules
from distillery.generate import prompts
from distillery.problems import Problem

HALF = "\ud83d"
PROBLEM = {"uuid": "a", "problem": "1 + 1?", "answer": "2"}
ANSWER = {
    "id": "a",
    "sample": 0,
    "prompt": "p",
    "text": "\\boxed{2}",
    "tokens": [1],
    "stop": "eos",
    "seed": 0,
}
CHAT = {
    "conversations": [{"from": "human", "value": "1"}, {"from": "gpt", "value": "2"}],
    "tools": "",
    "system": "",
}


def lines(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def refused(*words: object) -> str:
    done = here(*map(str, words))
    assert done.returncode == 1 and "text without a UTF-8 form" in done.stderr, done.stderr
    assert "fix:    correct the text" in done.stderr and "defect" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("key", ["uuid", "problem", "answer"])
def test_of_a_problem(tmp_path, key):
    source = lines(tmp_path / "p.jsonl", PROBLEM, {**PROBLEM, "uuid": "b", key: f"x{HALF}"})
    columns = json.dumps({name: name for name in PROBLEM})
    said = refused(
        "import_problems.py",
        "--input",
        source,
        "--name",
        "x",
        "--columns",
        columns,
        "--output",
        tmp_path / "p.parquet",
    )
    assert f"p.jsonl, row 1, {key}, character 1" in said
    assert [path.name for path in tmp_path.iterdir()] == ["p.jsonl"]


@pytest.mark.parametrize("key", ["id", "text", "prompt"])
def test_of_an_answer(tmp_path, key):
    pq.write_table(
        pa.table({"uuid": ["a", "b"], "problem": ["1", "2"], "answer": ["2", "4"]}), tmp_path / "p.parquet"
    )
    answers = lines(tmp_path / "g.jsonl", ANSWER, {**ANSWER, "id": "b", key: f"x{HALF}"})
    flags = "--generations", answers, "--problems", tmp_path / "p.parquet", "--output", tmp_path / "s.jsonl"
    assert f"g.jsonl, line 2, {key}, character 1" in refused("score.py", *flags)


def tokenized(tmp_path: Path, row: dict, *more: str) -> list[object]:
    source = lines(tmp_path / "d.jsonl", CHAT, row)
    keys = json.dumps({"messages": "conversations", "system": "system", "tools": "tools"})
    return [
        *("preprocess_data.py", "--input", source, "--output-prefix", tmp_path / "d", "--map-keys", keys),
        *("--tokenizer-name-or-path", FULL, "--tokenizer-type", "PretrainedFromHF", "--prompt-type", "qwen"),
        *("--handler-name", "SharegptStyleInstructionHandler", "--seq-length", "128", *more),
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("system", HALF),
        ("tools", json.dumps([{"name": f"f{HALF}", "description": "d", "parameters": {"properties": {}}}])),
        ("conversations", [{"from": "human", "value": HALF}, {"from": "gpt", "value": "2"}]),
    ],
)
def test_of_a_row_to_train_on_it_is_rejected_with_its_place(tmp_path, key, value):
    done = here(*map(str, tokenized(tmp_path, {**CHAT, key: value})))
    assert done.returncode == 0 and "1 kept, 1 rejected" in done.stdout, done.stderr
    (left,) = json_files.lines(tmp_path / "d_rejected.jsonl")
    assert left["reason"] == "content is not valid Unicode" and left["row"] == 1


def test_of_a_row_s_name(tmp_path):
    assert "d.jsonl, row 1, column uuid, character 0" in refused(*tokenized(tmp_path, {**CHAT, "uuid": HALF}))


def test_of_decisions_and_prompts(tmp_path):
    row = {"id": "a", "gold": "2", "answer": HALF, "right": True}
    with pytest.raises(Problem, match="o.jsonl, line 1, answer, character 0"):
        overrules.read(lines(tmp_path / "o.jsonl", row), [PROBLEM])
    with pytest.raises(Problem, match="p.jsonl, line 1, messages.0, content, character 2"):
        prompts.read(lines(tmp_path / "p.jsonl", {"messages": [{"role": "user", "content": f"ab{HALF}"}]}))
    (tmp_path / "w.json").write_bytes(b'[{"prompt": "\\ud83d\\ude42 \\\\ud83d"}]')
    assert prompts.read(tmp_path / "w.json")[0].text == "🙂 \\ud83d"


@given(st.text(st.characters(codec=None), max_size=8))
def test_what_utf8_can_say_passes_and_nothing_else(text):
    whole = not any("\ud800" <= one <= "\udfff" for one in text)
    try:
        whole_text.check_value({"a": [text]}, "x")
    except Problem as problem:
        assert not whole and "x, a.0, character" in str(problem)
    else:
        assert whole
