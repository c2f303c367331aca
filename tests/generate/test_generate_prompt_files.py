"""Prompt files as people write them: line ends of Unicode, marks of byte order, arrays, packed files, text without a UTF-8 form."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import here

from distillery.generate import prompts
from distillery.problems import Problem

ROWS = [{"prompt": "one\u2028two\u2029three\x85four"}, {"prompt": "five"}]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


def zstd(data: bytes) -> bytes:
    return pa.compress(data, codec="zstd", asbytes=True)


@pytest.mark.parametrize(
    "name, data",
    [
        ("p.jsonl", LINES),
        ("p.jsonl", b"\xef\xbb\xbf" + LINES),
        ("p.jsonl", LINES.replace(b"\n", b"\r\n")),
        ("p.json", json.dumps(ROWS).encode()),
        ("p.json", b"\xef\xbb\xbf" + json.dumps(ROWS, ensure_ascii=False, indent=1).encode()),
        ("p.jsonl.gz", gzip.compress(LINES, mtime=0)),
        ("p.jsonl.zst", zstd(LINES)),
    ],
)
def test_one_reader_of_json_lines_for_all(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    assert [prompt.text for prompt in prompts.read(tmp_path / name)] == [row["prompt"] for row in ROWS]


@pytest.mark.parametrize(
    "line, words",
    [
        (b'{"prompt": "half \\ud83d of a face"}', r"line 2, prompt, character 5"),
        ('{"prompt": "\u4e94"}'.encode("gbk"), r"not UTF-8(?s:.*)line 2, byte"),
        (b"{", r"not JSON(?s:.*)line 2"),
        (b'{"messages": "hello"}', r"row 2(?s:.*)messages is a text: 'hello'"),
        (b'{"messages": {"role": "user", "content": "x"}}', r"messages is an object"),
        (b'{"messages": ["hello"]}', r"messages.0 is a text: 'hello'"),
        (
            b'{"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}',
            r"messages.0.content is a list",
        ),
        (b'{"prompt": 5}', r"prompt is a whole number: '5'"),
        (b'{"problem": null, "id": 1}', r"found:  problem is nothing"),
        (b'{"messages": []}', r"messages is an empty list"),
        (b'{"id": 1}', r"found:  only id"),
        (b'{"prompt": "x", "id": "\\ud83d"}', r"line 2, id, character 0"),
        (b'{"prompt": "x", "id": ["a"]}', r"an id that cannot be used(?s:.*)a list"),
        (b'{"prompt": "x", "seed": "7"}', r"a seed that cannot be used(?s:.*)a text: '7'"),
        (b'{"prompt": "x", "seed": true}', r"a seed that cannot be used(?s:.*)true"),
        (b'{"prompt": "x", "seed": -1}', r"a seed that cannot be used(?s:.*)from 0 to"),
        (b'{"messages": [{"role": "assistant", "content": "x"}]}', r"roles \['assistant'\]"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(tmp_path, line, words):
    (tmp_path / "p.jsonl").write_bytes(b'{"prompt": "x"}\n' + line + b"\n")
    with pytest.raises(Problem, match=words):
        prompts.read(tmp_path / "p.jsonl")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"uuid": ["a"]}, "a file without prompts(?s:.*)found:  uuid"),
        ({"problem": ["x", None], "uuid": ["a", "b"]}, "row 2(?s:.*)problem is nothing"),
        ({"problem": [1], "uuid": ["a"]}, "problem is a whole number"),
        ({"messages": [[{"role": "user", "content": "x"}], []]}, "row 2(?s:.*)an empty list"),
    ],
)
def test_what_is_wrong_with_a_parquet_file_is_said(tmp_path, columns, words):
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(Problem, match=words):
        prompts.read(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(Problem, match="cannot be read(?s:.*)p.parquet, the footer"):
        prompts.read(path)


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
