"""Questions that say nothing, CSV cells that readers take for null, thoughts in a field of their own: named, never silent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenize_runs import run, sequences

from distillery import json_files
from distillery.dataset import PLAIN_TEXT
from distillery.problems import Problem
from distillery.tokenize import alpaca, csv_rows, handlers, silent_losses
from distillery.tokenize.dataset_files import DatasetFiles
from distillery.tokenize.parts import CSV_NULL
from distillery.tokenize.readers import Source
from distillery.tokenize.sharegpt import LOST_THOUGHT

ALPACA = "AlpacaStyleInstructionHandler"
AS_ALPACA = ["--handler-name", ALPACA, "--map-keys", "{}"]
CHAT = ["--handler-name", "SharegptStyleInstructionHandler"]


def counts(manifest: dict) -> dict[str, int]:
    return {note: entry["count"] for note, entry in manifest["noted"].items()}


def test_questions_that_say_nothing(tmp_path: Path) -> None:
    rows = [{"instruction": each, "input": "", "output": "a"} for each in ("q", "", " \n\t", "\u3000")]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = run(path, tmp_path / "d", *AS_ALPACA)
    assert counts(made) == {silent_losses.EMPTY_QUESTION: 1, silent_losses.BLANK_QUESTION: 2}
    assert made["noted"][silent_losses.EMPTY_QUESTION]["rows"] == [
        {"file": "a.jsonl", "row": 1, "uuid": None}
    ]
    strict = run(path, tmp_path / "s", *AS_ALPACA, "--strict")
    assert (strict["kept"], strict["rejected"]["reasons"]) == (1, counts(made))


def test_cells_that_spell_null(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("instruction,input,output\nq,,a\nNA,more,a\nq,None,a\nq,,null\n")
    made = run(path, tmp_path / "d", *AS_ALPACA)
    assert (made["kept"], counts(made)) == (3, {CSV_NULL: 3})
    assert [row["row"] for row in made["noted"][CSV_NULL]["rows"]] == [1, 2, 3]
    (rejected,) = map(json.loads, DatasetFiles(tmp_path / "d").rejected.read_text().splitlines())
    assert rejected == {
        "file": "a.csv",
        "row": 3,
        "uuid": None,
        "reason": "no output",
        "detail": "None; read as null: output 'null'",
    }
    strict = run(path, tmp_path / "s", *AS_ALPACA, "--strict")
    assert strict["rejected"]["reasons"] == {CSV_NULL: 2, "no output": 1}


CELLS = st.one_of(
    st.sampled_from([*sorted(csv_rows.NULL_TEXTS), "", " NA", "na", "1", "2.5", "-3", "True", "False", "x"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
)


@pytest.mark.slow
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8))
@example([("x\r", "1"), ("NA", "2")])
def test_cells_are_those_of_pandas(tmp_path_factory: pytest.TempPathFactory, cells: list) -> None:
    """Values are pandas' by default, whatever stands beside a text that it takes for null; such texts are named."""
    import pandas as pd

    path = tmp_path_factory.mktemp("cells") / "a.csv"
    pd.DataFrame(cells, columns=["a", "b"]).to_csv(path, index=False, quoting=1)
    wanted = pd.read_csv(path)
    rows = [row for block in Source(path).blocks(["a", "b"]) for row in block]
    assert len(rows) == len(wanted) == len(cells)
    for number, (row, said) in enumerate(zip(rows, cells, strict=True)):
        nulled = row.cells if isinstance(row, csv_rows.NulledRow) else {}
        assert nulled == {
            key: cell for key, cell in zip("ab", said, strict=True) if cell in csv_rows.NULL_TEXTS
        }
        for key in "ab":
            value = wanted[key][number]
            assert row[key] == value or (row[key] is None and pd.isna(value))


def openai(content: str | None, thought: Any) -> dict:
    return {
        "messages": [
            {"role": "user", "content": "q", "reasoning_content": None},
            {"role": "assistant", "content": content, "reasoning_content": thought},
        ]
    }


OPENAI = {"messages": "messages", "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user"}}
OPENAI["tags"] |= {"assistant_tag": "assistant", "system_tag": "system"}  # type: ignore[operator]


@pytest.mark.parametrize(
    ("row", "thoughts", "answer", "notes"),
    [
        (openai("a", "why\n"), "join", "<think>\nwhy\n</think>\n\na", ()),
        (openai("a", "why"), None, "a", (LOST_THOUGHT,)),
        (openai("a", None), "join", "a", ()),
        (openai("a", ""), None, "a", ()),
        (openai("<think>why</think>a", "why"), "join", "<think>why</think>a", ()),
        (openai("<think>why</think>a", "other"), "join", "<think>why</think>a", (LOST_THOUGHT,)),
    ],
)
def test_thoughts_in_a_field_of_their_own(row: dict, thoughts: str | None, answer: str, notes: tuple) -> None:
    made = handlers.mapped(CHAT[1], OPENAI, thoughts).convert(row)
    assert (made.messages[1].content, made.notes) == (answer, notes)


def test_thoughts_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(openai("a", each)) + "\n" for each in ("why", None)))
    flags = [*CHAT, "--map-keys", json.dumps(OPENAI)]
    made = run(path, tmp_path / "d", *flags)
    assert (made["kept"], counts(made), "thoughts" in made) == (2, {LOST_THOUGHT: 1}, False)
    assert run(path, tmp_path / "s", *flags, "--strict")["rejected"]["reasons"] == {LOST_THOUGHT: 1}
    joined = run(path, tmp_path / "j", *flags, "--thoughts", "join")
    assert joined["thoughts"] == "join" and LOST_THOUGHT not in joined["noted"]
    assert joined["tokens"] > made["tokens"]


@pytest.mark.parametrize(
    ("history", "turns", "notes"),
    [
        ('[["q1", "a1"], ["q2", "a2"]]', 3, ()),
        ("", 1, ()),
        ("[]", 1, ()),
        ("said before", 1, (alpaca.HISTORY_TEXT,)),
        ('{"q": "a"}', 1, (alpaca.HISTORY_TEXT,)),
    ],
)
def test_a_history_in_a_cell(history: str, turns: int, notes: tuple) -> None:
    row = {"instruction": "i", "input": "", "output": "o", "history": history}
    made = handlers.mapped(ALPACA, {"history": "history"}).convert(row)
    assert (len(made.messages) // 2, made.notes) == (turns, notes)


def test_texts_are_learnt_whole(tmp_path: Path) -> None:
    """With labels a text is what fine-tuning reads: each token learnt, the prompt type's end behind it."""
    path = tmp_path / "a.txt"
    path.write_text("one line\n\nand another one, much longer than the first line of this file\n")
    flags = ["--handler-name", PLAIN_TEXT, "--text-labels", "--map-keys", '{"text": "text"}']
    made = run(path, tmp_path / "d", *flags)
    assert (made["rows"], made["kept"], made["supervised_tokens"]) == (3, 2, made["tokens"])
    ids = sequences(tmp_path / "d", "packed_input_ids")
    assert ids == sequences(tmp_path / "d", "packed_labels")
    end = made["template"]["stop_token_ids"][0]
    assert [each[-1] for each in ids] == [end, end] and all(each.count(end) == 1 for each in ids)
    path.write_text(path.read_text() + "  \n")
    blank = {note: one["count"] for note, one in run(path, tmp_path / "b", *flags)["noted"].items()}
    assert blank == {"a text of white space alone": 1}
    assert run(path, tmp_path / "s", *flags, "--strict")["kept"] == 2
    cut = run(path, tmp_path / "c", *flags, "--seq-length", "12", "--overlong", "truncate-keep-eos")
    assert (cut["kept"], cut["truncated"]) == (3, 1)
    assert sequences(tmp_path / "c", "packed_input_ids")[1] == [*ids[1][:10], end]
    dropped = run(path, tmp_path / "e", *flags, "--seq-length", "12")
    assert dropped["dropped"]["overlong"]["count"] == 1


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_rows_that_are_all_rejected_say_why_and_stay_to_be_seen(tmp_path, kind):
    """Whatever the reason was, the advice had been to look at --map-keys."""
    rows = [
        {"question": "a?", "answer": "1"},
        {"question": "b?", "answer": None},
        {"question": "c?", "answer": None},
    ]
    rows[0]["answer"] = None if kind == "parquet" else ""
    path = tmp_path / f"rows.{kind}"
    if kind == "csv":
        path.write_text("question,answer\n" + "".join(f"{row['question']},\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows, pa.schema([(one, pa.string()) for one in rows[0]])), path)
    words = ["--handler-name", "AlpacaStyleInstructionHandler", "--prompt-type", "qwen", "--seq-length", "64"]
    keys = json.dumps({"prompt": "question", "query": "", "response": "answer"})
    with pytest.raises(Problem) as raised:
        run(path, tmp_path / "d", *words, "--map-keys", keys)
    said = str(raised.value)
    listed = tmp_path / "d_rejected.jsonl"
    entries = list(json_files.lines(listed))
    assert "no row is left to train on" in said and "3 rows read, 3 rejected" in said
    assert f"{entries[0]['reason']} (3); first {path.name}, row 0: " in said and str(listed) in said
    assert [one["row"] for one in entries] == [0, 1, 2]
    assert [one.name for one in tmp_path.glob("d_*")] == [listed.name]
    # a dataset of before keeps its own list
    (tmp_path / "good.jsonl").write_text('{"question": "a?", "answer": "1"}\n')
    run(tmp_path / "good.jsonl", tmp_path / "d", *words, "--map-keys", keys)
    with pytest.raises(Problem) as raised:
        run(path, tmp_path / "d", *words, "--map-keys", keys)
    assert str(listed) not in str(raised.value) and not listed.exists()
