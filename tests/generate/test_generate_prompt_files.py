"""Prompt files as people write them: line ends of Unicode, marks of byte order, arrays, packed files, text without a UTF-8 form."""

import gzip
import json

import pytest
from commands import here

from distillery.generate import prompts
from distillery.problems import Problem

ROWS = [{"prompt": "one\u2028two\u2029three\x85four"}, {"prompt": "five"}]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


def zstd(data: bytes) -> bytes:
    import pyarrow as pa

    return pa.compress(data, codec="zstd", asbytes=True)


@pytest.mark.parametrize(
    "name, data",
    [
        ("p.jsonl", LINES),
        ("p.jsonl", b"\xef\xbb\xbf" + LINES),
        ("p.jsonl", LINES.replace(b"\n", b"\r\n")),
        ("p.json", json.dumps(ROWS).encode()),
        ("p.json", b"\xef\xbb\xbf" + json.dumps(ROWS, ensure_ascii=False, indent=1).encode()),
        ("p.jsonl.gz", gzip.compress(LINES)),
        ("p.jsonl.zst", zstd(LINES)),
    ],
)
def test_one_reader_of_json_lines_for_all(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    assert [prompt.text for prompt in prompts.read(tmp_path / name)] == [row["prompt"] for row in ROWS]


@pytest.mark.parametrize(
    "line, words",
    [
        (b'{"prompt": "half \\ud83d of a face"}', r"row 2, character 5"),
        ("{\"prompt\": \"\u4e94\"}".encode("gbk"), r"not UTF-8(?s:.*)line 2, byte"),
        (b"{", r"not JSON(?s:.*)line 2"),
        (b'{"messages": "hello"}', r"row 2(?s:.*)messages is a text: 'hello'"),
        (b'{"messages": {"role": "user", "content": "x"}}', r"messages is an object"),
        (b'{"messages": ["hello"]}', r"messages.0 is a text: 'hello'"),
        (b'{"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}', r"messages.0.content is a list"),
        (b'{"messages": [{"role": "assistant", "content": "x"}]}', r"roles \['assistant'\]"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_row_is_said(tmp_path, line, words):
    (tmp_path / "p.jsonl").write_bytes(b'{"prompt": "x"}\n' + line + b"\n")
    with pytest.raises(Problem, match=words):
        prompts.read(tmp_path / "p.jsonl")


def test_a_damaged_packed_file_is_named(tmp_path):
    (tmp_path / "p.jsonl.gz").write_bytes(gzip.compress(LINES)[:-9])
    with pytest.raises(Problem, match="p.jsonl.gz"):
        prompts.read(tmp_path / "p.jsonl.gz")


def test_a_question_of_bytes_in_another_encoding_is_refused():
    with pytest.raises(Problem, match="--prompt, character 0"):
        prompts.question("\udcce\udce5")


def test_an_empty_question_is_a_mistake_of_usage(tmp_path):
    done = here("inference.py", "--load", str(tmp_path), "--task", "greedy", "--prompt", " ")
    assert done.returncode == 2 and "an empty question" in done.stderr, done.stderr
