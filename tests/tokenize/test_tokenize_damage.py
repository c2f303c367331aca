"""Damaged files end in an error that says where: row group, line, byte."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from read_rows import ours, write

from distillery.problems import Problem


def parquet(path: Path, rows: int = 600) -> Path:
    pq.write_table(pa.table({"text": [f"row {n}" * 50 for n in range(rows)]}), path, row_group_size=200)
    return path


def test_damaged_parquet(tmp_path: Path) -> None:
    whole = parquet(tmp_path / "a.parquet").read_bytes()
    cases = {
        "empty": (b"", "0 bytes"),
        "truncated": (whole[: len(whole) // 2], "the footer"),
        "other": (b"PK\x03\x04" + b"x" * 500, "the footer"),
    }
    for name, (content, words) in cases.items():
        with pytest.raises(Problem, match=rf"(?s){name}\.parquet.*{words}"):
            ours(write(tmp_path / f"{name}.parquet", content))


def test_damage_inside_a_row_group_is_placed(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet")
    start = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 60] = b"\xff" * 60
    with pytest.raises(Problem, match=r"row group 1 of 3"):
        ours(write(path, bytes(content)))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", '{"a": 1}\n{"a": ', "row 1"),
        ("a.jsonl", '{"a": 1}\nnonsense\n', "row 1"),
        ("a.json", '[{"a": 1}, {"a": 2}', "not closed after row 2"),
        ("a.json", "[1, 2]", "not a row"),
        ("a.json", '[{"a": 1}]\n[{"a": 2}]', "row 1.*'\\[' instead of the end"),
        ("a.json", '[{"a": 1} {"a": 2}]', "row 1.*'{' instead of a comma"),
        ("a.json", '[{"a": 1},, {"a": 2}]', "row 1.*Expecting value"),
        ("a.json", '[{"a": 1},]', "row 1.*Expecting value"),
        ("a.json", '[,{"a": 1}]', "row 0.*Expecting value"),
        ("a.json", '[{"a": 1}, ', "not closed after row 1"),
        ("a.jsonl", '{"a": 1}\n{"a": ' + "[" * 100_000, "row 1.*recursion"),
        ("a.jsonl", '{"a": ' + "9" * 5000 + "}", "row 0.*digits"),
        ("a.jsonl", b'{"a": "\xff"}\n', "UTF-8"),
        ("a.csv", "", "No columns"),
        ("a.csv", 'a,b\n1,2\n"open,3\n', "EOF"),
        ("a.csv", "a,b\n1,2,3\n4,5,6,7\n", "fields"),
        ("a.csv", b"a\n\xff\n", "UTF-8"),
        ("a.txt", b"a\n\xff\n", "UTF-8"),
        ("a.arrow", b"", "0 bytes"),
        ("a.arrow", b"ARROW1\x00\x00 and no more", "the schema"),
    ],
)
def test_damaged_text(name: str, content: str | bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(Problem, match=f"(?s){words}"):
        ours(write(tmp_path / name, content))


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_text_that_is_not_utf8_is_placed(kind: str, tmp_path: Path) -> None:
    texts = pa.array([b"good"] * 99 + [b"\xff"], pa.binary()).cast(pa.binary()).view(pa.string())
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({"text": texts}), path, row_group_size=40)
    else:
        with (
            pa.OSFile(str(path), "wb") as sink,
            pa.ipc.new_file(sink, pa.schema({"text": "string"})) as writer,
        ):
            writer.write_table(pa.table({"text": texts}), max_chunksize=40)
    place = "row group 2 of 3" if kind == "parquet" else "record batch 2"
    with pytest.raises(Problem, match=rf"{place}, rows 80 to 99\n.*utf-8"):
        ours(path)


def test_a_codec_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a" * 1000]}), path, compression="gzip")
    content = path.read_bytes()
    # LZO, which no build of pyarrow has: codec 3 in place of 2 in the column's metadata
    assert content.count(b"text\x15\x04") == 1
    path.write_bytes(content.replace(b"text\x15\x04", b"text\x15\x06"))
    with pytest.raises(Problem, match="(?s)row group 0 of 1.*LZO"):
        ours(path)
