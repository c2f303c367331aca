"""Shards are a source's files in sorted order, under names that are safe everywhere and tell files apart."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery import shard_files, shard_names, source_files
from distillery.dataset import Dataset, Source
from distillery.problems import Problem


def of(folder: Path, files: str | list[str], **more: int) -> Dataset:
    return Dataset("d", Source("path", {"path": str(folder), "files": files}), "auto", {}, **more)


def filled(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x\n")
    return folder


def test_shards_are_files_in_sorted_order(tmp_path: Path) -> None:
    filled(tmp_path, "b/rows (1).csv", "a/rows (1).csv", "it's.csv", "数据.csv", "a.manifest.json.csv")
    assert of(tmp_path, "**/*.csv").paths == {
        "a_manifest.json.csv": "a.manifest.json.csv",
        "a_rows_1_.csv": "a/rows (1).csv",
        "b_rows_1_.csv": "b/rows (1).csv",
        "it_s.csv": "it's.csv",
        "数据.csv": "数据.csv",
    }


def test_names_of_openr1_stay_as_they_were() -> None:
    names = tuple(f"train-{number:05d}-of-00005.parquet" for number in range(5))
    assert list(shard_names.batches(names, 1).items())[0] == ("train-00000-of-00005", names[:1])
    assert list(shard_names.batches(names, 2)) == [
        "train-00000-00001-of-00005",
        "train-00002-00003-of-00005",
        "train-00004-of-00005",
    ]


def test_places_of_a_batch() -> None:
    rows = Dataset("d", Source("generator", {"seed": 0, "shards": 1000}), "auto", {}, shards_per_job=3)
    first, *others = shard_files.shards(rows, "train-00009-00011-of-01000")
    assert first == "resources/datasets/d/train-00009-of-01000.parquet" and len(others) == 2
    assert shard_files.first_digest(rows) == "resources/datasets/d/train-00000-of-01000.sha256"
    with pytest.raises(KeyError):
        rows.batch("train-00001-00003-of-01000")


def test_batches_of_other_names(tmp_path: Path) -> None:
    filled(tmp_path, *(f"{name}.jsonl" for name in "edcba"))
    rows = of(tmp_path, "*.jsonl", shards_per_job=2)
    assert list(rows.batches()) == ["files-00000-00001", "files-00002-00003", "files-00004-00004"]
    assert rows.batch("files-00002-00003") == ("c.jsonl", "d.jsonl") and rows.batch("c") == ("c.jsonl",)
    assert list(rows.batches(3).values()) == [("a.jsonl", "b.jsonl"), ("c.jsonl",)]
    assert all(rows.batch(name) == names for name, names in rows.batches(3).items())


def test_stems_that_are_the_same_keep_their_endings(tmp_path: Path) -> None:
    filled(tmp_path, "a.json", "a.jsonl", "b.jsonl")
    assert of(tmp_path, "*").batches() == {
        "a.json": ("a.json",),
        "a.jsonl": ("a.jsonl",),
        "b": ("b.jsonl",),
    }


PARTS = st.text("ab.-_ '\"(){}$ü数/", min_size=1, max_size=8)


@given(st.lists(PARTS, min_size=1, max_size=8, unique=True))
def test_any_names_are_told_apart(stems: list[str]) -> None:
    paths = [f"{stem}.jsonl" for stem in stems]
    found = shard_names.local_names(paths)
    assert sorted(found.values()) == sorted(paths)
    pattern = re.compile(source_files.A_NAME)
    for name in found:
        assert pattern.fullmatch(name) and re.fullmatch(r"\w[\w.+=@-]*", name)
    batches = shard_names.batches(tuple(found), 1)
    assert [name for names in batches.values() for name in names] == list(found)
    assert list(batches) == sorted(batches)  # as a merge sorts them


@pytest.mark.parametrize(
    ("names", "files", "words"),
    [
        (["a.csv", "b.jsonl"], "*", r"(?s)several formats.*csv \(a\.csv\), json \(b\.jsonl\)"),
        (["a.csv"], "*.jsonl", r"(?s)no such file.*a\.csv.*\*\.jsonl"),
        (["a.csv", "a.xlsx"], "*", "(?s)unknown kind.*a.xlsx"),
    ],
)
def test_files_that_are_none(names: list[str], files: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(Problem, match=words):
        _ = of(filled(tmp_path, *names), files).paths


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    filled(tmp_path, "a.csv")
    with pytest.raises(Problem, match=r"(?s)a file stands where a folder is wanted.*files: 'a\.csv'"):
        _ = of(tmp_path / "a.csv", "*").paths


def test_wildcards_of_hubs_need_a_lock() -> None:
    source = Source("hub", {"host": "huggingface", "repo": "a/b", "revision": "r", "files": "data/*.parquet"})
    with pytest.raises(Problem, match="(?s)only their source can list.*make lock"):
        _ = Dataset("d", source, "auto", {}).paths
