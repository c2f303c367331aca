"""The files of a source: names, wildcards and ranges, whatever the files are called."""

from __future__ import annotations

import glob
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery import source_files
from distillery.problems import Problem, UsageProblem

ODD = [
    "rows (1).csv",
    'l\'été "q".csv',
    "数据 [1].csv",
    "a{b}.csv",
    "$HOME `x`.csv",
    "sub/rows.csv",
    "sub/deep/rows.csv",
]


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ODD:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a\n1\n")
    return tmp_path


def test_ranges_are_written_out():
    pattern = "data/train-{00008..00011}-of-00012.parquet"
    assert source_files.expand(pattern) == [f"data/train-{i:05d}-of-00012.parquet" for i in (8, 9, 10, 11)]
    assert source_files.written(["{1..2}/{1..2}", "x"]) == ["1/1", "1/2", "2/1", "2/2", "x"]
    with pytest.raises(UsageProblem, match="backwards"):
        source_files.expand("{3..1}")


def test_names_and_wildcards_select_alike_in_a_folder_and_in_a_list(folder):
    for files in (
        "*.csv",
        "**/*.csv",
        "sub/*",
        "数据*",
        ["rows (1).csv", "sub/**/rows.csv"],
        "rows ([1-3]).csv",
    ):
        found = source_files.in_folder(folder, files)
        assert found and found == sorted(found)
        assert found == source_files.chosen(ODD, files, "a list")
    assert source_files.in_folder(folder, "**/*.csv") == sorted(ODD)
    # a name with a bracket is a name where such a file is there
    assert source_files.in_folder(folder, ODD) == sorted(ODD)
    # what has no wildcard may come later
    assert source_files.in_folder(folder, ["b.csv", "a.csv"]) == ["a.csv", "b.csv"]


def test_what_selects_nothing_names_what_is_there(folder):
    with pytest.raises(Problem, match=r"(?s)no such file.*rows \(1\)\.csv.*wanted: +\*\.parquet"):
        source_files.in_folder(folder, "*.parquet")
    with pytest.raises(Problem, match="(?s)the hub.*no files at all.*b-1.json"):
        source_files.chosen([], ["b-{1..2}.json"], "the hub")
    with pytest.raises(
        Problem, match=r"(?s)a file stands where a folder is wanted.*files: 'rows \(1\)\.csv'"
    ):
        source_files.in_folder(folder / "rows (1).csv", "*")


def test_files_are_of_one_format_that_is_read():
    assert source_files.one_format(["a.jsonl.gz", "b.json", "c.jsonl.zst"], "x") == "json"
    for ending in source_files.ENDINGS:
        assert source_files.one_format([f"x{ending}"], "x") == {"jsonl": "json"}.get(
            ending.split(".")[1], ending.split(".")[1]
        )
    with pytest.raises(Problem, match=r"(?s)several formats.*csv \(b\.csv\), json \(a\.json\)"):
        source_files.one_format(["a.json", "b.csv"], "x")
    for name in ("a.xlsx", "a.parquet.gz", "csv", "a.gz"):
        with pytest.raises(Problem, match="unknown kind"):
            source_files.one_format([name], "x")


@given(st.lists(st.text(alphabet="ab*?[]!/^.\\x", min_size=1, max_size=6), min_size=1, max_size=4), st.data())
def test_any_name_selects_itself(names, data):
    name = data.draw(st.sampled_from(names))
    assert name in source_files.chosen(names, name, "x")
    assert name in source_files.chosen(names, glob.escape(name), "x")
