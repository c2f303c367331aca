"""Shards are a source's files in sorted order, under names that are safe everywhere and tell files apart."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery import shard_files, shard_names, source_files
from distillery.dataset import Dataset, Source
from distillery.experiment import Tokenization
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


def test_spans_of_shards(tmp_path: Path) -> None:
    filled(tmp_path, *(f"{name}.jsonl" for name in "ab"))
    rows = of(tmp_path, "*.jsonl", jobs_per_shard=12)
    spans = list(rows.batches(divided=True))
    assert len(spans) == 24 and spans[:2] == ["a~rows-01-of-12", "a~rows-02-of-12"]
    assert rows.batch("b~rows-07-of-12") == ("b.jsonl",) and list(rows.batches()) == ["a", "b"]
    assert shard_names.span("b~rows-07-of-12") == "7/12" and shard_names.span("b") is None
    assert shard_files.digest("d", "b~rows-07-of-12") == shard_files.digest("d", "b")
    whole = Tokenization("d", "m", "qwen", 0.01, 64, pack=True)
    assert shard_files.batches(rows, whole) == ["a", "b"]
    assert shard_files.batches(rows, replace(whole, pack=False)) == spans
    assert shard_files.batches(rows, replace(whole, pack=False, engine="mindspeed-llm")) == ["a", "b"]
    assert list(of(tmp_path, "*.jsonl", jobs_per_shard=2, shards_per_job=2).batches(divided=True)) == [
        "files-00000-00001"
    ]


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
    spans = list(shard_names.batches(tuple(found), 1, 11))
    assert spans == sorted(spans, key=shard_names.in_order)


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


@given(
    st.lists(st.sampled_from([*"abcdefgh", *(f"train-{n}-of-9" for n in range(9))]), min_size=1, unique=True),
    st.integers(1, 4),
)
def test_any_dataset_may_be_cut_short(stems: list[str], size: int) -> None:
    paths = [f"{stem}.{ending}" for stem in stems for ending in ("json", "jsonl")[: 1 + len(stems) % 2]]
    names = tuple(shard_names.local_names(paths))
    rows = Dataset("d", Source("path", {}), "auto", {}, shards_per_job=size)
    vars(rows)["paths"] = dict.fromkeys(names, "")
    for count in range(1, len(names) + 1):
        for batch, shards in rows.batches(count).items():
            assert rows.batch(batch) == shards
