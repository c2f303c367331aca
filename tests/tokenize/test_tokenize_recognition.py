"""`handler_name: auto` takes the handler that a person would, says by what, and refuses what it cannot tell."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import tokenize_recognise
from tokenize_runs import FULL, contents, run

from distillery import json_files
from distillery.problems import Problem, UsageProblem
from distillery.tokenize import conversation, handlers, recognition
from distillery.tokenize.readers import Source
from distillery.tokenize.recognition import ALPACA, SHAREGPT


def lines(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def turns(role: str, content: str, *names: str) -> list[dict]:
    return [{role: name, content: f"said {number}"} for number, name in enumerate(names)]


CHAT = {"messages": turns("role", "content", "system", "user", "assistant")}
TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
TAGS |= {"system_tag": "system"}
FROM = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"}
FROM |= {"system_tag": "system"}
CASES: list[tuple[dict[str, Any], str, dict]] = [
    (CHAT, SHAREGPT, {"messages": "messages", "tags": TAGS}),
    (CHAT | {"instruction": "", "output": ""}, SHAREGPT, {"messages": "messages", "tags": TAGS}),
    (
        {"id": 1, "chat": turns("role", "content", "user", "tool", "assistant")},
        SHAREGPT,
        {"messages": "chat", "tags": TAGS | {"observation_tag": "tool"}},
    ),
    (
        {"conversations": turns("from", "value", "human", "gpt"), "system": "be", "tools": "[]"},
        SHAREGPT,
        {"messages": "conversations", "tags": FROM, "system": "system", "tools": "tools"},
    ),
    (
        {"instruction": "i", "input": "", "output": "o", "history": [], "text": "all of it"},
        ALPACA,
        {"prompt": "instruction", "query": "input", "response": "output", "history": "history"},
    ),
    ({"question": "q", "answer": "a"}, ALPACA, {"prompt": "question", "query": None, "response": "answer"}),
    (
        {"Prompt": "q", "Completion": "a"},
        ALPACA,
        {"prompt": "Prompt", "query": None, "response": "Completion"},
    ),
    ({"id": 3, "text": "t"}, "GeneralPretrainHandler", {"text": "text"}),
    ({"body": "t"}, "GeneralPretrainHandler", {"text": "body"}),
]


@pytest.mark.parametrize(("row", "handler", "map_keys"), CASES)
def test_what_is_taken(row: dict, handler: str, map_keys: dict, tmp_path: Path) -> None:
    found = recognition.of(Source(lines(tmp_path / "a.jsonl", row, row)))
    assert (found.handler_name, found.map_keys) == (handler, map_keys)
    assert next(iter(map_keys.values())) in found.said


@pytest.mark.parametrize("row", [{"a": "x", "b": "y"}, {"messages": ["x"]}, {"text": 1}])
def test_what_cannot_be_told(row: dict, tmp_path: Path) -> None:
    with pytest.raises(Problem, match=rf"(?s)no handler.*columns {', '.join(row)}.*map_keys"):
        recognition.of(Source(lines(tmp_path / "a.jsonl", row)))
    # the example works with these columns
    rows = {"frage": "2 + 2?", "antwort": "4"}
    with pytest.raises(Problem) as told:
        recognition.of(Source(lines(tmp_path / "c.jsonl", rows)))
    asked, learnt = re.findall(r"handler_name: (\w+) and map_keys: (\{.*?\})", told.value.fix)
    made = handlers.mapped(asked[0], json.loads(asked[1])).convert(rows)
    assert conversation.ends(made) == ("2 + 2?", "4")
    assert conversation.ends(handlers.mapped(learnt[0], json.loads(learnt[1])).convert(rows))[0] == "2 + 2?"
    # names and labels are no questions
    more = {"id": "r-1", "level": 3, "frage": "What is 2 + 2?", "tag": "sum", "antwort": "It is 4."}
    with pytest.raises(Problem, match=r'"prompt": "frage", "query": null, "response": "antwort"'):
        recognition.of(Source(lines(tmp_path / "d.jsonl", more)))
    with pytest.raises(Problem, match=r"(?s)no rows.*put rows into the file"):
        recognition.of(Source(lines(tmp_path / "b.jsonl")))


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_a_csv_of_other_marks_than_commas_is_no_plain_text(mark: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"question{mark}answer\n1 + 1?{mark}2\n")
    with pytest.raises(Problem, match=r"(?s)not parted by commas.*a\.csv.*with a comma for"):
        recognition.of(Source(path))
    # commas amid such a row are fields of which the first line knows nothing
    path.write_text(f"question{mark}answer\nSay, 1 + 1?{mark}2\n")
    with pytest.raises(
        Problem, match=r"(?s)more fields than its first line names.*a\.csv.*1 more fields a row"
    ):
        list(Source(path).blocks(Source(path).columns()))


def test_text_in_another_encoding_is_named_with_what_makes_utf_8_of_it(tmp_path: Path) -> None:
    for name, text in {
        "a.csv": "问题,答案\n一,二\n",
        "a.txt": "问题一\n",
        "a.jsonl": '{"text": "问题一"}\n',
    }.items():
        path = tmp_path / name
        path.write_bytes(text.encode("gb18030"))
        with pytest.raises(Problem, match=r"(?s)cannot be read.*iconv -f GB18030 -t UTF-8"):
            recognition.of(Source(path))


def test_a_csv_row_of_more_fields_than_columns_is_never_shifted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("question,answer\nSay, 1 + 1?,2\n")
    with pytest.raises(Problem, match=r"(?s)more fields than.*columns question, answer, and 1 more"):
        list(Source(path).blocks(["question"]))


def test_auto_is_the_handler_it_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = lines(tmp_path / "a.jsonl", {"question": "q", "answer": "a"}, {"question": "r", "answer": "b"})
    found = {"prompt": "question", "query": None, "response": "answer"}
    named = run(path, tmp_path / "n", "--handler-name", ALPACA, "--map-keys", json.dumps(found))
    flags = ["--input", str(path), "--output", str(tmp_path / "handler.json")]
    tokenize_recognise.main(tokenize_recognise.parser().parse_args(flags))
    assert json_files.read(tmp_path / "handler.json")["map_keys"] == found
    alike = contents(tmp_path / "n")
    for more in ([], ["--handler-file", str(tmp_path / "handler.json")]):
        auto(path, tmp_path / "d", *more)
        assert contents(tmp_path / "d") == alike and named["handler"] == ALPACA
        assert f"handler: {ALPACA} (columns question, answer)" in capsys.readouterr().err


def auto(source: Path, prefix: Path, *more: str) -> dict:
    import preprocess_data

    flags = ["--input", str(source), "--output-prefix", str(prefix), "--tokenizer-name-or-path", str(FULL)]
    flags += ["--handler-name", "auto", "--prompt-type", "qwen_math_r1", *more]
    preprocess_data.main(preprocess_data.parser().parse_args(flags))
    return json_files.read(prefix.with_name(f"{prefix.name}_manifest.json"))


def test_texts_are_recognised_and_learnt(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    made = auto(tmp_path / "a.txt", tmp_path / "d")
    assert (made["handler"], made["map_keys"]) == ("GeneralPretrainHandler", {"text": "text"})
    assert made["supervised_tokens"] == made["tokens"]


def test_auto_takes_no_map(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="auto finds columns by itself"):
        auto(lines(tmp_path / "a.jsonl", CHAT), tmp_path / "d", "--map-keys", "{}")
