"""Small files that stand for gigabytes: refused before those are made, with the file's name."""

from __future__ import annotations

from pathlib import Path

import pytest
from isal import igzip

from distillery import config_faults, json_files, json_rows, source_files
from distillery.problems import Problem
from distillery.tokenize.readers import Source

LONG = 48 << 20  # bytes, of which gzip makes 50 kB


def packed(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    with igzip.open(path, "wb") as stream:
        stream.write(data)
    return path


@pytest.mark.parametrize(
    ("name", "before", "within", "behind"),
    [
        ("a.jsonl.gz", b'{"text": "', b"a", b'"}\n'),
        ("a.txt.gz", b"", b"a", b""),
        ("a.csv.gz", b'text\n"', b"a", b'"\n'),
        ("b.csv.gz", b'text\n"', b"a\n", b'"\n'),
    ],
)
def test_one_row_is_not_far_longer_than_its_file(tmp_path, name, before, within, behind):
    path = packed(tmp_path, name, before + within * (LONG // len(within)) + behind)
    with pytest.raises(Problem, match="far longer than the file it is packed in") as caught:
        list(Source(path).blocks(["text"]))
    assert str(path) in str(caught.value)


def test_many_rows_are_no_long_row(tmp_path):
    path = packed(tmp_path, "a.jsonl.gz", b'{"text": "a"}\n' * 20_000)
    assert sum(map(len, Source(path).blocks(["text"]))) == 20_000


def test_rows_that_are_read_at_once_are_not_far_more_than_their_file(tmp_path):
    path = packed(tmp_path, "a.jsonl.gz", b'{"prompt": "a"}\n' * 700_000)
    with pytest.raises(Problem, match="unpacks to far more than itself"):
        list(json_rows.read(path))


def test_columns_of_a_csv_file_have_an_end(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text" + ",a" * 20_000 + "\n")
    with pytest.raises(Problem, match="columns without end"):
        Source(path).columns()


@pytest.mark.parametrize(("value", "times"), [(b"{},", 700_000), (b"[],", 2_000_000)])
def test_json_does_not_grow_beyond_its_size(tmp_path, value, times):
    path = tmp_path / "a.json"
    path.write_bytes(b"[" + value * times + b"1]")
    with pytest.raises(Problem, match="grow far beyond its size"):
        json_files.read(path, list)


@pytest.mark.parametrize(
    "pattern", ["{0..999999999999}.csv", "{0..999}{0..999}.csv", "{9..1}{0..9999999}.csv"]
)
def test_ranges_of_names_have_an_end(pattern):
    with pytest.raises(Problem, match="too many names|backwards"):
        source_files.expand(pattern)
    assert len(source_files.expand("{0..99}/{0..99}.csv")) == 10_000


def test_shards_have_an_end():
    source = {"generator": {"seed": 1, "shards": 10**9, "rows_per_shard": 1}}
    (fault,) = [
        one for one in config_faults.faults({"datasets": {"a": {"source": source}}}) if "shards" in one
    ]
    assert "99999" in fault
